"""Re-evaluation: stored scores brought up to date with the newest revisions, computing only what changed.

`planning` reads what there is and says what has to be done, `judging` decides for one run, `plan` is what users see of
that, `executing` carries it out, `causes` groups failures, `comparing` shows boards before and after, `handle` is what
users hold of a batch.
"""
