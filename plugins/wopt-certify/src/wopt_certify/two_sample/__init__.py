"""Two-sample tests: whether rows and a model's samples come from one law, and where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_certify.two_sample.calibration import ConditionalReport as ConditionalReport
    from wopt_certify.two_sample.calibration import CoverageReport as CoverageReport
    from wopt_certify.two_sample.calibration import conditional_evidence as conditional_evidence
    from wopt_certify.two_sample.calibration import expected_coverage as expected_coverage
    from wopt_certify.two_sample.calibration import tarp_coverage as tarp_coverage
    from wopt_certify.two_sample.classifier import ClassifierTest as ClassifierTest
    from wopt_certify.two_sample.classifier import Region as Region
    from wopt_certify.two_sample.classifier import classifier_test as classifier_test
    from wopt_certify.two_sample.measure import ClosestRecord as ClosestRecord
    from wopt_certify.two_sample.measure import ColumnDifference as ColumnDifference
    from wopt_certify.two_sample.measure import MMDTest as MMDTest
    from wopt_certify.two_sample.measure import TwoSampleReport as TwoSampleReport
    from wopt_certify.two_sample.measure import closest_record as closest_record
    from wopt_certify.two_sample.measure import column_differences as column_differences
    from wopt_certify.two_sample.measure import mmd_test as mmd_test
    from wopt_certify.two_sample.measure import two_sample as two_sample

__getattr__, __dir__ = exports(__name__, __file__)
