"""Is what was simulated what an exported file does?"""
