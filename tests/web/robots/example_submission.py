"""A robot that submits a zip: signs in, asks whether it may, uploads, submits."""

import os
import sys
from urllib.parse import urljoin

import requests

CODALAB_URL = "http://localhost/"
USERNAME = "admin"
PASSWORD = "admin"
PHASE_ID = None
TASK_LIST = []
SUBMISSION_ZIP_PATH = "submission.zip"

assert PHASE_ID is not None, "set the phase"


def stop(what, answer, code):
    print(f"{what} ({answer.status_code}): {answer.content}")
    sys.exit(code)


def at(path):
    return urljoin(CODALAB_URL, path)


answer = requests.post(at("/api/api-token-auth/"), data={"username": USERNAME, "password": PASSWORD}, timeout=60)
if answer.status_code != 200:
    stop("Login failed", answer, 255)
headers = {"Authorization": f"Token {answer.json()['token']}"}

answer = requests.get(at(f"/api/can_make_submission/{PHASE_ID}/"), headers=headers, timeout=60)
if not answer.json()["can"]:
    stop(f"Not allowed to submit: {answer.json()['reason']}", answer, 254)

described = {
    "type": "submission",
    "request_sassy_file_name": "submission.zip",
    "file_size": os.path.getsize(SUBMISSION_ZIP_PATH),
}
answer = requests.post(at("/api/datasets/"), described, headers=headers, timeout=60)
if answer.status_code != 201:
    stop("Creating the data set failed", answer, 253)
dataset = answer.json()

with open(SUBMISSION_ZIP_PATH, "rb") as file:
    body = file.read()
answer = requests.put(dataset["sassy_url"], data=body, headers={"Content-Type": "application/zip"}, timeout=60)
if answer.status_code != 200:
    stop("Uploading failed", answer, 252)

print(f"Making submission using data: {dataset['key']}")
wanted = {"phase": PHASE_ID, "tasks": TASK_LIST, "data": dataset["key"]}
answer = requests.post(at("/api/submissions/"), wanted, headers=headers, timeout=60)
if answer.status_code in (200, 201):
    print(f"Successfully submitted: {answer.content}")
else:
    print(f"Error submitting ({answer.status_code}): {answer.content}")
