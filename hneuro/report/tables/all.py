"""Every table of a report, by name."""

from __future__ import annotations

from hneuro.report.tables.alphas import alphas_table
from hneuro.report.tables.calibration import calibration_table
from hneuro.report.tables.causal import causal_table, unparsed_table
from hneuro.report.tables.changes import arms_table, changes_table, slopes_table
from hneuro.report.tables.comparisons import comparisons_table, held_fixed_table, length_table
from hneuro.report.tables.detection import detection_table, sizes_table
from hneuro.report.tables.headline import headline_causal, headline_detection
from hneuro.report.tables.judges import confusion_table, frequent_table, judges_table
from hneuro.report.tables.mechanism import (
    remaining_table,
    set_overlaps_table,
    signals_table,
    sparsity_table,
    transfer_table,
)
from hneuro.report.tables.origin import drift_table, moments_table, origin_table
from hneuro.report.tables.outcomes import framings_table, outcomes_table
from hneuro.report.tables.selection import funnel_table, neurons_table, path_table
from hneuro.report.tables.stability import frequencies_table, neuron_paths_table, overlaps_table
from hneuro.report.tables.strata import strata_table
from hneuro.report.tables.table import Table
from hneuro.report.tables.variants import perplexity_table, variants_table
from hneuro.report.tidy import Tidy


def all_tables(tidy: Tidy) -> dict[str, Table]:
    results = tidy.results
    made = (
        headline_detection(tidy),
        headline_causal(tidy),
        detection_table(tidy),
        sizes_table(tidy),
        held_fixed_table(tidy),
        length_table(tidy),
        comparisons_table(tidy),
        calibration_table(tidy),
        signals_table(tidy),
        remaining_table(tidy),
        transfer_table(tidy),
        set_overlaps_table(tidy),
        sparsity_table(tidy),
        framings_table(tidy),
        outcomes_table(tidy),
        causal_table(tidy),
        changes_table(tidy),
        arms_table(tidy),
        alphas_table(tidy),
        slopes_table(tidy),
        strata_table(tidy),
        variants_table(tidy),
        perplexity_table(tidy),
        unparsed_table(tidy),
        origin_table(tidy),
        moments_table(tidy),
        drift_table(tidy),
        neurons_table(results),
        path_table(results),
        neuron_paths_table(results),
        frequencies_table(results),
        overlaps_table(results),
        funnel_table(results),
        frequent_table(results),
        judges_table(results),
        confusion_table(results),
    )
    return {table.name: table for table in made}
