"""What a search costs beside a grid, how near the defaults come to what it finds, and how right an estimate is.

The cases lie in benchmarks/search_cases, a module a subject; each module says what it measures and how. Searches are replayed over
measured grids (benchmarks/results/*-search-grid-*.json), so that a hundred of them cost no training.

    .venv/bin/python benchmarks/search.py --json > benchmarks/results/DATE-search.json
    .venv/bin/python benchmarks/search.py --case search-steps --case defaults-share
    .venv/bin/python benchmarks/search.py --full           measure the grids again first: about an hour of one core

Needs the public data sets beside the checkout. Exit code 0 where every case was measured,
whatever the figures; 1 where one was not.
"""

from datetime import UTC, datetime

from gathered import log, main


def measure_again() -> None:
    """The grids and the defaults, from the first point on."""
    from searching.defaults import measure_defaults
    from searching.grid import WORK, measure_grid
    from searching.rows import NAMES

    fresh = WORK / f"{datetime.now(UTC):%Y-%m-%d}"  # a day: stopped, it goes on the same day
    for name in NAMES:
        log(str(measure_grid(name, fresh)))
    log(str(measure_defaults(fresh)))


if __name__ == "__main__":
    main(__doc__ or "", "search_cases", full=measure_again)
