"""Results as files for people: tables, figures and one page. Reads `result_records` and the folders of runs."""
