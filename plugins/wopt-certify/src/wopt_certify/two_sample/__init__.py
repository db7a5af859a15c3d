"""Two-sample tests: whether rows and a model's samples come from one law, and where they differ."""

from wopt_certify.two_sample.classifier import ClassifierTest, classifier_test
from wopt_certify.two_sample.columns import ColumnDifference, column_differences
from wopt_certify.two_sample.coverage import (
    CoverageReport,
    expected_coverage,
    tarp_coverage,
)
from wopt_certify.two_sample.given import ConditionalReport, conditional_evidence
from wopt_certify.two_sample.measure import two_sample
from wopt_certify.two_sample.mmd import MMDTest, mmd_test
from wopt_certify.two_sample.regions import Region
from wopt_certify.two_sample.report import TwoSampleReport

__all__ = [
    "ClassifierTest",
    "ColumnDifference",
    "ConditionalReport",
    "CoverageReport",
    "MMDTest",
    "Region",
    "TwoSampleReport",
    "classifier_test",
    "column_differences",
    "conditional_evidence",
    "expected_coverage",
    "mmd_test",
    "tarp_coverage",
    "two_sample",
]
