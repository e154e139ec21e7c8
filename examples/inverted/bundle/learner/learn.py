"""Learns from /app/ingested_program/lessons, answers /app/input_data/questions.txt.

What was counted is kept in the folder `notes` beside this program: a first pass counts, a second one answers.
"""

import collections
import json
import math
import os
import sys

LESSONS, QUESTIONS, OUTPUT = "/app/ingested_program/lessons", "/app/input_data/questions.txt", "/app/output"
LANGUAGES = ["english", "finnish", "french", "german", "italian"]
LONGEST = 600
NOTES = "notes"  # relative: programs start in their own folder


def triples(text):
    text = " " + " ".join("".join(c if c.isalpha() else " " for c in text.lower()).split()) + " "
    return [text[i : i + 3] for i in range(len(text) - 2)]


def study(language):
    """Counts the triples of one lesson into notes/LANGUAGE.json."""
    path = os.path.join(LESSONS, language + ".txt")
    if not os.path.exists(path):
        sys.exit("there is no lessons/%s.txt to learn from" % language)
    with open(path, encoding="utf-8-sig") as f:
        text = f.read()[:LONGEST]
    counts = collections.Counter(triples(text))
    with open(os.path.join(NOTES, language + ".json"), "w", encoding="utf-8") as f:
        json.dump({"letters": len(text), "counts": counts}, f)


def main():
    if not os.path.isdir(NOTES):
        os.mkdir(NOTES)
    answers = os.path.join(OUTPUT, "answers.txt")
    if os.path.exists(answers):
        os.remove(answers)  # a submission must not bring its own
    for language in LANGUAGES:
        study(language)
    notes = {}
    for language in LANGUAGES:
        with open(os.path.join(NOTES, language + ".json"), encoding="utf-8") as f:
            notes[language] = json.load(f)
    seen = len({t for n in notes.values() for t in n["counts"]}) + 1

    def fit(language, sentence):
        counts = notes[language]["counts"]
        total = sum(counts.values())
        return sum(math.log((counts.get(t, 0) + 0.5) / (total + 0.5 * seen)) for t in triples(sentence))

    with open(QUESTIONS, encoding="utf-8") as f:
        questions = [line.strip() for line in f if line.strip()]
    with open(answers, "w", encoding="utf-8") as f:
        f.writelines(max(LANGUAGES, key=lambda name: fit(name, q)) + "\n" for q in questions)
    with open(os.path.join(OUTPUT, "letters.txt"), "w", encoding="utf-8") as f:
        f.write("%d\n" % sum(n["letters"] for n in notes.values()))
    print("learned %d triples, answered %d questions" % (seen - 1, len(questions)))


if __name__ == "__main__":
    main()
