"""A robot that reads submissions: those of a phase, one of them, all of its files in a zip."""

import getopt
import json
import os
import pprint
import sys
import zipfile
from urllib.parse import urljoin

import requests

CODALAB_URL = "http://localhost/"
USERNAME = "admin"
PASSWORD = "admin"


def get(url, **options):
    answer = requests.get(urljoin(CODALAB_URL, url), timeout=60, **options)
    if answer.status_code != 200:
        print(f"Error ({answer.status_code}) at {url}: {answer.content}")
        sys.exit(253)
    return answer


given = dict(getopt.getopt(sys.argv[1:], "hp:s:vo:")[0])
if "-h" in given or not given:
    print("-p PHASE: its submissions;  -s SUBMISSION: one of them;  -v: also its files;  -o DIRECTORY: where to")
    sys.exit(0)

login = {"username": USERNAME, "password": PASSWORD}
answer = requests.post(urljoin(CODALAB_URL, "/api/api-token-auth/"), data=login, timeout=60)
if answer.status_code != 200:
    print(f"Login failed ({answer.status_code}): {answer.content}")
    sys.exit(255)
headers = {"Authorization": f"Token {answer.json()['token']}"}

if "-p" in given:
    found = get("/api/submissions/", params={"phase": given["-p"]}, headers=headers).json()
    print(f"{'Submissions':-^70}")
    for each in found:
        print(f"| {each['id']:<10} | {each['owner']:<20} | {each['created_when']}")
if "-s" in given:
    number = given["-s"]
    one = get(f"/api/submissions/{number}/", headers=headers).json()
    details = get(f"/api/submissions/{number}/get_details/", headers=headers).json()
    if "-v" not in given:
        print("Submission Object:")
        pprint.pprint(one)
        print("Submission get_details Object:")
        pprint.pprint(details)
        sys.exit(0)
    path = os.path.join(given.get("-o", "."), f"submission-{number}.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("submission.zip", get(details["data_file"]).content)
        archive.writestr("submission.json", json.dumps(one, indent=4))
        archive.writestr("submission_detail.json", json.dumps(details, indent=4))
        for log in details["logs"]:
            archive.writestr(f"{log['name']}.txt", get(log["data_file"]).content)
    print(f"Saved Output to: {path}")
