"""What would lose less in a shipped format: the same changed in one respect each."""
