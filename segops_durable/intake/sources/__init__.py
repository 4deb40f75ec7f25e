"""Files and streams, whatever their format: records, read in chunks from any place on.

- `opening` finds out what a file is, by its first bytes (`file_kinds`, `json_heads`), its name or
  what somebody says (`file_options`); `dataset` takes a directory part by part, `partitions`
  what its name says.
- `inputs` gives the bytes, unpacked, and `encodings` the letters; `lines` bounds them.
- `source` is what all formats have in common: `json_lines` (with `json_objects`), `csv_source`
  (`csv_dialect`, `csv_records`, `csv_lines`, `csv_fields`), `parquet_source` (`parquet_rows`,
  `parquet_values`, `parquet_shown`). A record that cannot be read is a `bad_record`; `showing` is
  how a row without a text is shown. `extras` imports what may not be installed.
"""
