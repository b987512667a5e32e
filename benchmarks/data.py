"""What preparing rows costs and finds, side by side with the tools a user would pick instead.

The cases lie in benchmarks/data_cases, a module a subject; each module says what it measures and how. Peers are run in their own
environments under .bench, which the cases make.

    .venv/bin/python benchmarks/data.py --json > benchmarks/results/DATE-data.json
    .venv/bin/python benchmarks/data.py --case prepare-speed --case split-crossings

Needs the public data sets beside the checkout. Exit code 0 where every case was measured, whatever the figures; 1 where one was not.
"""

from gathered import main

if __name__ == "__main__":
    main(__doc__ or "", "data_cases")
