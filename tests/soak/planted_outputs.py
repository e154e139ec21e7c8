"""Whatever a program leaves in its output, nothing of anybody else is collected: fifty shapes on each engine.

Links to reference data, to files of the host, to processes, loops, pipes, sockets, devices, hard links, closed
directories, and a race to the last moment. The bytes of others are counted where predictions are stored and where the
scorer finds them; forged scores must not count.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from _engines import NAMES, engine_of, image_of

import codabench as cb
from codabench.testing.attacks.planted import PLANT
from codabench.testing.bundles import write_bundle, write_files

NEEDS = ("docker", "podman", "rootless")
LIMIT = 180

SCORER = """
    import json, os
    seen = 0
    for top, _, names in os.walk("/app/input/res"):
        for name in names:
            with open(os.path.join(top, name), "rb") as file:
                data = file.read(1 << 20)
            seen += len(data) if b"TRUTH" in data or b"root:" in data else 0
    json.dump({"score": 1, "seen": seen}, open("/app/output/scores.json", "w"))
"""
FORGED = """
for name, text in (('scores.json', '{"score": 99, "seen": 0}'), ('scores.txt', 'score: 99')):
    for folder in ('/app/output', '/app/shared', '/tmp'):
        try:
            os.path.islink(os.path.join(folder, name)) and os.unlink(os.path.join(folder, name))
            open(os.path.join(folder, name), 'w').write(text)
        except OSError: pass
"""


def soak(scale: float, folder: Path) -> dict[str, object]:
    """Ten runs of fifty shapes and more on each engine."""
    rounds = max(1, round(10 * scale))
    word = f"TRUTH-{secrets.token_hex(8)}"
    host = folder / "host-secret.txt"
    host.write_text(word)
    host.chmod(0o644)
    leaked = forged = runs = 0
    figures: dict[str, object] = {}
    failed: list[str] = []
    for name in NAMES:
        bundle = write_bundle(
            folder / f"bundle-{name}",
            scoring={"main.py": SCORER.replace("TRUTH", word)},
            reference_data={"truth.txt": word},
            input_data={"data/rows.csv": "1,2\n"},
            columns=("score", "seen"),
            image=image_of(name),
        )
        submission = write_files(
            folder / f"submission-{name}",
            {"metadata": f"command: python3 $program/main.py {host}\n", "main.py": PLANT + FORGED},
        )
        least = 1000
        engine = engine_of(name)
        with cb.load(bundle) as comp, cb.Workspace(backend=engine, jobs=1) as ws:
            ws.add(comp)
            for number in range(rounds):
                run = ws.submit(comp, submission, participant=f"p{number}").wait().run
                runs += 1
                if run.status != "Finished":
                    failed.append(f"{name}: {run.status} {run.problem}")
                    continue
                least = min(least, int(run.logs["prediction_stdout"].split()[-1]))
                forged += run.scores["score"] != 1
                with run.output("prediction") as tree:
                    data = {e.path: tree.read_bytes(e.path) for e in tree.entries() if e.kind == "file"}
                taken = {p: len(d) for p, d in data.items() if word.encode() in d or b"root:" in d}
                leaked += sum(taken.values()) + int(run.scores["seen"])
                if taken or run.scores["seen"]:
                    failed.append(f"{name}: bytes of others were taken: {taken}, the scorer saw {run.scores['seen']}")
        figures[f"shapes_{name}"] = least
        if least < 50:
            failed.append(f"{name}: only {least} shapes could be made")
    if forged:
        failed.append(f"{forged} forged scores were accepted")
    return {"runs": runs, "leaked_bytes": leaked, "forged_scores": forged, **figures, "failed": failed}
