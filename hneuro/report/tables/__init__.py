"""The tables of the report, one file a section."""
