"""Data: splits, invertible preprocessing, and reading tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.data.assembly import Splits as Splits
    from wopt.data.assembly import assemble as assemble
    from wopt.data.assembly import dequantised as dequantised
    from wopt.data.assembly import draw_splits as draw_splits
    from wopt.data.assembly import pick_columns as pick_columns
    from wopt.data.choices import At as At
    from wopt.data.choices import Choices as Choices
    from wopt.data.choices import Columns as Columns
    from wopt.data.choices import Context as Context
    from wopt.data.choices import Dequantise as Dequantise
    from wopt.data.choices import File as File
    from wopt.data.choices import Fractions as Fractions
    from wopt.data.choices import Key as Key
    from wopt.data.choices import Kinds as Kinds
    from wopt.data.choices import Missing as Missing
    from wopt.data.choices import Preprocess as Preprocess
    from wopt.data.choices import Support as Support
    from wopt.data.choices import Time as Time
    from wopt.data.choices import Weights as Weights
    from wopt.data.choices import Where as Where
    from wopt.data.dataset import Dataset as Dataset
    from wopt.data.dataset import check_finite as check_finite
    from wopt.data.dataset import smooth_dataset as smooth_dataset
    from wopt.data.dataset import split as split
    from wopt.data.kinds import column_of as column_of
    from wopt.data.load import chosen_rows as chosen_rows
    from wopt.data.load import from_table as from_table
    from wopt.data.quantile_transform import QuantileTransform as QuantileTransform
    from wopt.data.table_transform import KNOTS as KNOTS
    from wopt.data.table_transform import through_quantiles as through_quantiles
    from wopt.data.tables import READABLE as READABLE
    from wopt.data.tables import column_names as column_names
    from wopt.data.tables import coordinates as coordinates
    from wopt.data.tables import existing_file as existing_file
    from wopt.data.tables import read_frame as read_frame
    from wopt.data.tables import read_table as read_table
    from wopt.data.tables import write_table as write_table
    from wopt.data.times import seconds as seconds
    from wopt.data.transform import AffineTransform as AffineTransform

__getattr__, __dir__ = exports(__name__, __file__)
