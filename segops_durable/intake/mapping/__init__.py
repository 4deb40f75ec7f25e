"""What of a record is what of an event, and what its values become.

`field_map` is the map, and makes the events; `choices` checks what it says, `columns` whether a
file has them. `values` and `times` are what becomes of values, `concealing` of those that must
not reach the disk.
"""
