"""Rows that are not worth learning from: each rule is a small pure function, and drops, counts or is off.

    facts = FilterCount(config, task, labels)  # one pass: facts.add(row)
    rules = rules_of(config, task, facts.result(), labels)
    outcomes = filter_rows(rows, rules, suspicions)  # another

With the defaults a row costs about 10 microseconds and its words; a language, where one is asked for, about 0.2 ms.
"""

from tunesmith.data.filter.facts import FilterCount, FilterFacts
from tunesmith.data.filter.stage import RULES, Rules, Suspicions, filter_rows, rules_of

__all__ = ["RULES", "FilterCount", "FilterFacts", "Rules", "Suspicions", "filter_rows", "rules_of"]
