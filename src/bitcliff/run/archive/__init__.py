"""Many run folders as one table: read from their records, kept in SQLite, never the source."""
