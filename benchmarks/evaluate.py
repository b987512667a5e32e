"""What evaluation costs and whether its claims hold: label scoring beside lm-evaluation-harness, intervals and tests by simulation.

The cases lie in benchmarks/evaluate_cases, a module a subject; each module says what it measures and how. Peers are run in their own
environments under .bench, which the cases make.

    .venv/bin/python benchmarks/evaluate.py --json > benchmarks/results/DATE-evaluate.json
    .venv/bin/python benchmarks/evaluate.py --case score-labels --case interval-coverage

Needs the public data sets beside the checkout. Exit code 0 where every case was measured, whatever the figures; 1 where one was not.
"""

from gathered import main

if __name__ == "__main__":
    main(__doc__ or "", "evaluate_cases")
