"""Fields that nobody may set are left alone, wherever they are sent (security.md W14)."""

from __future__ import annotations

from typing import Any

from hosting_lab import hosted
from site_lab import person
from submission_lab import competition
from upload_lab import sent
from web_lab import robot

from codabench.site.numbers import Kind
from codabench.site.site import Site

FORGED: dict[str, Any] = {
    "is_superuser": True, "is_staff": True, "is_bot": True, "quota": 10**15, "owner": 1, "created_by": 1,
    "status": "Finished", "secret": "mine", "scores": [{"score": 1}], "is_public": True, "is_verified": True,
    "is_featured": True, "secret_key": "0" * 36, "downloads": 99, "md5": "x", "participant": "u1",
}  # fmt: skip


def test_what_a_server_decides_is_not_taken(site: Site) -> None:
    annie, me = person(site, "annie"), person(site, "mallory")
    theirs, own = competition(site, annie, me), hosted(site, me)
    key, file = site.db.hosted(own).secret_key, sent(site, me)
    phase = site.numbers.of(Kind.PHASE, theirs, 0)
    with robot(site, me) as client:
        # What one may set beside it is set: the calls were heard.
        for path, field in (
            (f"/api/users/{me.account}/", "display_name"),
            (f"/api/competitions/{site.competitions.number(own)}/", "title"),
            (f"/api/datasets/{file.id}/", "description"),
        ):
            given = {name: value for name, value in FORGED.items() if name not in ("is_public", "is_verified")}
            answer = client.patch(path, json={**given, field: "Mine"})
            assert answer.status_code == 200, answer.text
        assert client.patch(f"/api/datasets/{file.id}/", json={"is_verified": True}).status_code == 403
        answer = client.post("/api/submissions/", json={**FORGED, "phase": phase, "data": file.key})
        assert answer.status_code == 201, answer.text
        posted = client.get(f"/api/submissions/{answer.json()['id']}/").json()
    account, after, kept = site.db.account(me.account or 0), site.db.hosted(own), site.db.dataset(file.key)
    assert (account.display_name, account.is_superuser, account.is_staff, account.is_bot) == (
        "Mine",
        False,
        False,
        False,
    )
    assert account.quota is None
    assert (site.db.competition(own).title, after.owner, after.is_featured) == ("Mine", me.account, False)
    assert after.secret_key == key
    assert (kept.description, kept.owner, kept.is_verified, kept.downloads) == ("Mine", me.account, False, 0)
    assert (posted["status"], posted["owner"], posted["scores"]) == ("Submitted", "mallory", [])
    assert posted["is_public"] is False
