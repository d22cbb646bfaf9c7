"""Why a network breaks: one question a file, each answered from a `Context`."""
