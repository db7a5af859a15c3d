"""Two-sample tests: whether rows and a model's samples come from one law, and where they differ."""

from wopt_certify.two_sample.calibration import (
    ConditionalReport,
    CoverageReport,
    conditional_evidence,
    expected_coverage,
    tarp_coverage,
)
from wopt_certify.two_sample.classifier import ClassifierTest, Region, classifier_test
from wopt_certify.two_sample.closest import ClosestRecord, closest_record
from wopt_certify.two_sample.measure import (
    ColumnDifference,
    MMDTest,
    TwoSampleReport,
    column_differences,
    mmd_test,
    two_sample,
)

__all__ = [
    "ClassifierTest",
    "ClosestRecord",
    "ColumnDifference",
    "ConditionalReport",
    "CoverageReport",
    "MMDTest",
    "Region",
    "TwoSampleReport",
    "classifier_test",
    "closest_record",
    "column_differences",
    "conditional_evidence",
    "expected_coverage",
    "mmd_test",
    "tarp_coverage",
    "two_sample",
]
