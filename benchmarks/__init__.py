"""The harness: data, tasks, the run loop, records, statistics, tables and the report. Everything that touches disk."""
