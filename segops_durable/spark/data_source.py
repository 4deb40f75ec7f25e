"""What Spark makes of ``format("segops")``, on the driver: everything is checked before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pyspark.sql.datasource import DataSource

from segops_durable.errors import ConfigurationError
from segops_durable.spark.rows import check_schema
from segops_durable.spark.settings import Settings
from segops_durable.spark.writers import BatchWriter, StreamWriter

if TYPE_CHECKING:
    from pyspark.sql.types import StructType


class SegOpsDataSource(DataSource):  # type: ignore[misc]  # it is of the extra spark
    """Writes rows to SegOps: ``spark.dataSource.register(SegOpsDataSource)``.

    The package's docstring, `segops_durable.spark`, has what is promised; `Settings` the options
    of ``.option(…)``. The package has to be installed on the driver and on each executor.
    """

    @classmethod
    def name(cls) -> str:
        """What it is called in ``format(…)``."""
        return "segops"

    def schema(self) -> NoReturn:
        """Refuse to be read.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError("segops can be written to only", field="format")

    def writer(self, schema: StructType, overwrite: bool) -> BatchWriter:  # noqa: FBT001 - Spark gives it so
        """Write a DataFrame.

        Args:
            schema: Its columns.
            overwrite: Whether the mode is ``overwrite``.

        Raises:
            ConfigurationError: An option, the mode or a column cannot be.
        """
        settings = self._checked(schema, overwrite=overwrite)
        return BatchWriter(settings, schema)

    def streamWriter(self, schema: StructType, overwrite: bool) -> StreamWriter:  # noqa: FBT001, N802 - as Spark has it
        """Write a stream, a micro-batch at a time.

        Args:
            schema: Its columns.
            overwrite: Whether the output mode is ``complete``.

        Raises:
            ConfigurationError: An option, the mode or a column cannot be.
        """
        return StreamWriter(self._checked(schema, overwrite=overwrite), schema)

    def _checked(self, schema: StructType, *, overwrite: bool) -> Settings:
        if overwrite:
            raise ConfigurationError(
                "mode must be append: what SegOps has is not written over",
                field="mode",
                hint='Say mode("append"), or outputMode("append") of a stream',
            )
        settings = Settings.of(dict(self.options))
        check_schema(schema, settings.field_map)
        return settings
