"""The figures of the report, one file a section, in one house style."""
