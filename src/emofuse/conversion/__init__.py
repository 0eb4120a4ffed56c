"""Models of others: imported from the formats of other libraries, ours exported to them.

A file is read, never run: no pickle, no code of a layer's own, no operators of a plug-in.
"""
