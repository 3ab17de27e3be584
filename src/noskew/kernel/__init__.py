"""The kernel: the one place where feature maths is done, over Arrow and NumPy buffers.

It does no I/O, reads no clock, knows no store, and never writes into a caller's buffers.
"""
