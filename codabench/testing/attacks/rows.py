"""The threat table: what is tried against archives, containers, outputs and storage, and what stands against it.

The ids are those of the threat model that this library was built against. Whether a row is *tested* is never written
here: that is decided by tests (docs/security.md, ``scripts/security-table``). What is written here is why a row is not
tested, where it is not.
"""

from __future__ import annotations

from typing import Final

from codabench.core.base import Record


class Row(Record):
    """One thing that is tried.

    Attributes
    ----------
    id
        ``C01``.
    tried
        What an attacker does.
    defence
        What stands against it.
    by_design
        Where no test shows it: the place in the code, and why it cannot happen.
    not_covered
        Why it is not shown, and what is missing.
    """

    id: str
    tried: str
    defence: str
    by_design: str | None = None
    not_covered: str | None = None


GROUPS: Final = {
    "Z": "Archives",
    "C": "Containers",
    "S": "Outputs and scores",
    "G": "Storage",
    "H": "What is shown",
    "D": "Clusters",
    "W": "Sites",
}

_UNTESTED: Final[dict[str, dict[str, str]]] = {
    "D02": {
        "by_design": "`codabench/backends/dask/serving.py`: the pages of scheduler and worker have one address, "
        "on loopback, which no option changes; `test_everything_listens_on_the_named_address_only`"
    },
    "D04": {
        "not_covered": "a cluster is one trust domain: a worker has the credentials of the storage and may read and "
        "write all of it. It has no database (`test_workers_know_nothing_of_the_database`), and reports of attempts "
        "that no longer count are refused"
    },
    "D06": {
        "by_design": "`codabench/workspace/endings.py`: three attempts that are lost with their workers end a run; "
        "those that had not begun are not counted; `test_workspace_dispatching.py`"
    },
    "H04": {
        "by_design": "`codabench/web/transfer.py`: whoever's words such a page has, it is shown in the same sandbox; "
        "`test_a_page_of_a_scoring_program_gets_at_nothing_from_its_frame`"
    },
    "W12": {
        "by_design": "`codabench/site/uploads.py`: a site opens nothing at an address that people write; bundles, data "
        "and pictures are uploaded. Images are pulled by the engine, from registries that a policy may name"
    },
    "W14": {
        "by_design": "`codabench/web/api/common.py`: what is sent is read into a model of named fields, and parts of "
        "the site take named arguments; nothing else gets anywhere; `test_what_a_server_decides_is_not_taken`"
    },
    "Z15": {
        "by_design": "`codabench/storage/zipformat.py`: entries are data, no name means anything to the reader, and "
        "nothing of a bundle is looked for by what else lies there; `test_z15_litter_of_a_mac_stays_and_harms_nothing`"
    },
    "C25": {
        "not_covered": "the driver clears the memory of a GPU, we do not, and no test machine has two tenants on one; "
        "a run gets the devices that it names and no others (docs/policy.md)"
    },
    "S13": {
        "not_covered": "what participants may see of a hidden phase is decided by a site with accounts, which this "
        "version does not have; until then everything goes to who runs the library"
    },
}

_TABLE: Final = """
Z01 | names that leave the target (`../x`) | refused, never mended; files are made below a directory descriptor
Z02 | absolute names, drives, network shares | refused
Z03 | symbolic links as entries | refused by type, like all special files
Z04 | hard links, devices and pipes in tar archives | tar is not read; the same types in a zip are refused
Z05 | a bomb: a small archive of huge files | bytes are counted while they come; the cap and the free disk hold
Z06 | entries that share their bytes | ranges that overlap are refused
Z07 | archives in archives in archives | none is unpacked but those that a bundle names
Z08 | a million entries | the number is read first, and not believed
Z09 | names that are equal, or differ by case or Unicode form | the last of equal ones, with a warning; else refused
Z10 | empty, dotted, endless names, zero characters, a file below a file | refused
Z11 | names that lie about their encoding or hold control characters | decoded by their flag, shown escaped
Z12 | sizes, checksums, offsets that lie; cut or doubled archives | one reader for check and use; everything must agree
Z13 | encrypted entries, methods nobody reads | refused, with the entry's name
Z14 | setuid bits, wide modes | masked
Z15 | litter of operating systems beside the content | kept, and harms nothing
Z16 | an archive that is swapped after the check | checked and read through the same open file
C01 | a fork bomb | a limit of 1,024 processes and threads, or what the policy says
C02 | a memory bomb | a limit for memory and swap, reported as what it is
C03 | `/dev/shm` and `/tmp` are filled | both have a size
C04 | one huge file | counted twice a second where the policy sets a limit; a reserve of the disk always
C05 | files without number | the same
C06 | the file system of the image is filled or changed | read-only
C07 | output without end | drained by us, beginning and end kept, everything counted; the engine keeps no log
C08 | a program that never ends | a clock of our own, a kill by the engine, the end verified
C09 | a program that ignores signals | SIGKILL, without asking first
C10 | a daemon | ends with the first process of its container
C11 | output held open after the end | the end of the container counts, not that of its output
C12 | writing to inputs | read-only mounts; programs are private copies
C13 | reading the reference data in prediction | not mounted where participants' code runs
C14 | reading other runs | one private directory for each attempt, nothing shared
C15 | sending data out | no network but loopback
C16 | cloud metadata, services of the host | the same
C17 | the socket of an engine | never mounted
C18 | setuid programs | no new privileges, no capabilities
C19 | devices, mounts, raw packets | no capabilities
C20 | other processes | a process namespace for each container
C21 | interfaces of the kernel that break-outs began with | the engine's filter of system calls, or ours in the sandbox
C22 | orders to the kernel through `/proc` and `/sys` | masked by the engine; nobody is root
C23 | engines with known holes | `codabench doctor` compares the runtime's version with the first safe ones
C24 | an image that is hostile itself | no health check, volumes removed, our labels win, a pull has limits and a digest
C25 | what others left in a GPU | devices are given by name
C26 | secrets in the environment | made from nothing, a fixed list
C27 | secrets among words and environments of processes | the same namespaces; secrets are never words
C28 | taking the processor from others | a share of it
C29 | a tag that is moved | resolved once to an immutable id
C30 | containers that outlive a killed library | labels say whose they are; those of the dead are removed
C31 | shell commands in metadata | words, no shell
S01 | links, devices, other people's files in an output | regular files only, by descriptors, after the end
S02 | swapping files while they are collected | the same; the program is gone by then
S03 | forged scores in an output | scores are read from the scorer's own output only
S04 | forging and reading beside the scorer | nothing of the scorer is mounted there but `/app/shared`
S05 | modules planted for the scorer | neither its directory nor its path is one that a participant wrote
S06 | NaN, infinity, numbers beyond all bounds | refused as scores
S07 | text, lists, nothing as a score | refused, with the key and the value
S08 | odd encodings, double keys, endless nesting | named errors
S09 | huge, sparse or endless scores files | looked at before they are read, and read up to a limit
S10 | keys that are missing or wrong | a run without a column of the board has failed, and is told which
S11 | `scores.txt` with more than numbers | a reader of lines, nothing is executed
S12 | a score, and then a failure | a failed program has no score
S13 | telling the labels by output, names, times | hiding is up to the phase
S14 | gaming the order of equal scores | a total order: score, time, number
S15 | reports of attempts that no longer count | a token for each attempt
S16 | a hostile scorer | the same container, the same limits
G01 | a signed URL, used for something else | good for one object, one verb, a time; to upload, one size and type
G05 | bytes that rot, or are changed in the cache | compared at each use, archives by digest; fetched again
G06 | URLs of participants that name files of the host, or chains | an allow-list of protocols, and no chains
H01 | scripts of a page that a scoring program wrote, in a frame of the site | a sandbox by header: an origin of its own
H02 | the same page, opened by itself | the same header
H03 | leaving the frame, opening windows, saving files, sending away what was seen | nothing of that is in the sandbox
H04 | words of participants in such a page | the same sandbox
H05 | scripts in pages and terms that organizers write | HTML that can do nothing is left, and the policy of the page
H06 | pictures that are programs, pages or bombs | decoded with limits, written anew
H07 | names with HTML, scripts, bidirectional and terminal codes, in notebooks and plots | escaped where they are shown
H08 | files that browsers take for pages of the site | types by a list, no guessing, saved or shown without an origin
D01 | reaching a port of a cluster, and with it all workers | certificates of an authority of one's own, on both sides
D02 | the pages of Dask in a browser | on loopback only
D03 | a program that calls scheduler, worker or storage | no network but loopback
D04 | a worker that lies, or looks into other runs | every digest is checked; whoever has a certificate is trusted
D05 | objects in answers, which run code where they are unpickled | JSON and names of functions; nothing is unpickled
D06 | a run that kills its workers | attempts are counted
D07 | a result that is delivered twice, or late | a token for each attempt
D08 | encryption that is off | refused beyond loopback
W01 | numbers of things of others, on every route | one table decides before anything is done; not theirs: 404
W02 | something of others among several of one's own | each is asked about, all or none
W03 | what is secret, in any answer | the same table for fields, lists and files
W04 | a page elsewhere that sends forms for who is signed in | what browsers say of it, and a code for each session
W05 | planting a session, or using one that was ended | a new secret at each sign-in, ended on the server
W06 | guessing passwords, finding out who has an account | Argon2id, growing pauses, equal answers in equal time
W07 | a key for links that others know or guess | made at random for its owner only; any other is refused
W08 | tokens in a stolen database, in logs | SHA-256 of random bits, links made as they are sent, a filter for logs
W09 | uploads without number at the same time | few of one account are taken at once
W10 | uploads that are larger than they say, beyond a quota | counted as they come, whole or not there
W11 | paths where an id belongs | links are signed, name keys and digests, and what is stored has its digest
W12 | addresses inside, for the server to fetch | nothing is fetched
W13 | a link that signs in and then leads elsewhere | only paths of the site are gone on to
W14 | fields that nobody should set: owner, flags, status, scores | named fields only
W15 | words that become commands of the database | parameters, and orders by name
W16 | listening to the events of others | asked as for everything else, and again every quarter of a minute
W17 | pages in frames, answers for scripts elsewhere | headers of every answer, whatever the route
W18 | rights that were taken away | read again at each request
W19 | a server that others reach by accident | loopback; anything else is refused until address and proxies are said
"""


def _rows() -> dict[str, Row]:
    listed = (line.split(" | ", 2) for line in _TABLE.strip().splitlines())
    return {id: Row(id=id, tried=tried, defence=defence, **_UNTESTED.get(id, {})) for id, tried, defence in listed}


ROWS: Final = _rows()
