"""The same example padded to several lengths, and beside longer ones: which decisions change?"""
