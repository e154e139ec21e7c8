"""The marks of an exam. Lies beside grade.py, which imports it."""


def marks(truth, answers):
    """accuracy, and that of the language that was understood worst"""
    by_language = {}
    for right, given in zip(truth, answers):
        by_language.setdefault(right, []).append(right == given)
    hits = [hit for of_one in by_language.values() for hit in of_one]
    weakest = min(sum(of_one) / len(of_one) for of_one in by_language.values())
    return {"accuracy": sum(hits) / len(hits), "weakest": weakest}
