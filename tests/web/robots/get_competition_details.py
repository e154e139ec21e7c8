"""A robot that looks around: competitions, phases of one, tasks of a phase. It does not sign in."""

import sys
from urllib.parse import urljoin

import requests

CODALAB_URL = "http://localhost/"


def get(path):
    answer = requests.get(urljoin(CODALAB_URL, path), timeout=60)
    if answer.status_code != 200:
        print(f"Error ({answer.status_code}) at {path}: {answer.content}")
        sys.exit(253)
    return answer.json()


def table(heading, rows):
    print(f"\n{heading:-^70}")
    for row in rows:
        print("| {:<12} | {:<20} | {}".format(*row))


def main(competition=None, phase=None):
    if competition is None:
        found = sorted(get("/api/competitions/"), key=lambda each: each["id"])
        table("Competitions", [(each["id"], each["created_by"], each["title"]) for each in found])
        return
    found = get(f"/api/competitions/{competition}")
    print(f"Competition: {found['title']}")
    if phase is None:
        table("Phases", [(each["id"], "", each["name"]) for each in found["phases"]])
        return
    chosen = next(each for each in found["phases"] if each["id"] == int(phase))
    print(f"Phase: {chosen['name']}")
    table("Tasks", [(each["id"], "", each["name"]) for each in chosen["tasks"]])


main(*sys.argv[1:])
