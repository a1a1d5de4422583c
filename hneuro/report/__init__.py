"""Results as files for people: tables, figures and one page. Reads `hneuro.records.Results` and nothing else."""
