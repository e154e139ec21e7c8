"""A robot that has a submission run again on a task of its choice."""

import sys
from urllib.parse import urljoin

import requests

CODALAB_URL = "http://localhost/"
USERNAME = "admin"
PASSWORD = "admin"


def at(path):
    return urljoin(CODALAB_URL, path)


login = {"username": USERNAME, "password": PASSWORD}
answer = requests.post(at("/api/api-token-auth/"), data=login, timeout=60)
if answer.status_code != 200:
    print(f"Login failed ({answer.status_code}): {answer.content}")
    sys.exit(255)
headers = {"Authorization": f"Token {answer.json()['token']}"}

if len(sys.argv) == 1:
    print(f"{'Submissions':-^70}")
    for each in requests.get(at("/api/submissions/"), headers=headers, timeout=60).json():
        task = each["task"]["id"] if each["task"] else None
        print("| {:<10} | {:<20} | {}".format(each["id"], each["owner"], task))
elif len(sys.argv) == 2:
    print(f"{'Tasks':-^70}")
    for each in requests.get(at("/api/tasks/"), headers=headers, timeout=60).json()["results"]:
        print(f"| {each['key']} | {each['name']}")
else:
    old, key = sys.argv[1:]
    again = at(f"/api/submissions/{old}/re_run_submission/")
    answer = requests.post(again, params={"task_key": key}, headers=headers, timeout=60)
    if answer.status_code not in (200, 201):
        print(f"Error submitting ({answer.status_code}): {answer.content}")
        sys.exit(1)
    print(f"Successfully submitted: {answer.content}")
    new = answer.json()["id"]
    task = requests.get(at(f"/api/submissions/{new}/"), headers=headers, timeout=60).json()["task"]
    print(f"Old submission pk: {old}, task key: {key}")
    print(f"New submission pk: {new}, task key: {task['key']}")
    assert task["key"] == key, "it runs on another task"
