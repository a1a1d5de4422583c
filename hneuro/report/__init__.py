"""Results as files for people: tables, figures and one page. Reads `hneuro.results`, and in `across` run folders."""
