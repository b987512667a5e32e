"""Bias audit: selection, sampling, label and historical bias, each with figures; and distributions for the report.

    one = Audit(config, task, seed=seed, timed=column)
    one.dropped(row, stage); one.add(rows, sides)  # as they stream by: some 5 microseconds a row
    one.result(total=count, labels=counts).to_json()

A finding is a difference that passes the threshold of its kind and is beyond chance: exact tests (Fisher's, binomial; Welch's
for means), corrected for all that the audit tests (Holm, 1979), so that a set without bias gets a finding once in twenty times
at most (`level`). That holds where rows are independent of one another; made rows count in `weighted` alone. Counts that need no
test (label skew) are facts. All intervals are 95%; rates have Wilson's.

Keys of the result, all JSON values. `share` stands for {rows, hits, rate, interval}; `compared` for {with: share, without:
share, difference: {value, interval}, ratio: {value, interval}, weighted: difference in training's eyes or null}:

    rows         {looked_at, total, train}: rows counted, rows they stand for, train rows among those counted
    level, correction, tested
    findings     [{what, about, label, figure, interval, rows, p, also, sentence, mitigation, weighted?, mitigated?}]
                 what: label.skew, label.too_few_to_learn, label.too_few_to_measure, label.group_terms, label.group_column,
                 label.answers, sampling.reference, sampling.time, selection.source, selection.label_of_one_source,
                 selection.cleaning, historical.persists; p: corrected, null for facts; also: other labels it holds for;
                 mitigation: keys of `mitigations`; mitigated: with weights and made rows it is under the threshold
    labels       {labels: {LABEL: share + {sides: {SIDE: rows}}}, imbalance_ratio, effective_labels, too_few_to_learn,
                 too_few_to_measure, least_rows}; empty where the task has no labels
    terms        {CATEGORY: {groups: {GROUP: share of rows + {train, answers?, labels: {LABEL: compared}}}}}
    columns      {COLUMN: {groups: the same, capped}}
    answers      {measure: length|value, overall, groups: [{kind, name, group, rows, mean, others, ratio|difference}]}
    reference    {NAME: {rows, unreferenced, total_variation: {value, interval}, groups: {GROUP: share + {reference}}}}
    sources      {by, capped, sources: {SOURCE: share + {train, labels: {LABEL: compared}}}, labels_of_one_source: {LABEL: SOURCE},
                 told_by_source: {right_by_source, right_without}}; empty of one source
    times        {column, undated, months: {MONTH: {rows}}, periods: {PERIOD: rows},
                 labels: {LABEL: {shares: {PERIOD: share}, change: {value, interval, low, high}}}}
    history      {older, newer, groups: [{kind, name, group, label, older, newer, change: {value, interval}, turn}]}
    losses       {dropped, kept, stages: {STAGE: rows}, groups: [{kind, name, group, dropped, kept, lost, others_lost, stages}]}
    mitigations  {NAME: {recipe, sentence}}

Labels of a group are the 20 that differ most. Names of groups, sources and labels come out of the data; no other text does.
"""

from tunesmith.data.audit.audit import Audit, AuditFindings, audit, sampled
from tunesmith.data.audit.describe import EDGES, describe, leaks
from tunesmith.data.audit.mitigation import MITIGATIONS

__all__ = ["EDGES", "MITIGATIONS", "Audit", "AuditFindings", "audit", "describe", "leaks", "sampled"]
