"""The outbox file as a file: opened, locked, checked, mended and replaced.

It knows what is in a file, and nothing of what is done with events.
"""
