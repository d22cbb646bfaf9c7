"""What helps, each judged by a worst case that is looked for anew."""
