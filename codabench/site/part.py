"""`Part`: what every subject of a site's rules begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codabench.site.site import Site


class Part:
    """One subject of the rules of a site. Every public method takes who asks first."""

    def __init__(self, site: Site) -> None:
        self.site, self.db = site, site.db
