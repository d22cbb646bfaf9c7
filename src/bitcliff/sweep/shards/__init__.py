"""One audit on many workers: its batches are run elsewhere, to the same bits."""
