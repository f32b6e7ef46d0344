"""A phantom with analytic truth, and CT made from surface meshes. Research use only. Not for clinical use."""

from sample_data.dicom_series import write_dicom_series
from sample_data.long_scan import write_long_scan
from sample_data.phantom import Kernel, Phantom, PhantomSpec, make_phantom

__all__ = ["Kernel", "Phantom", "PhantomSpec", "make_phantom", "write_dicom_series", "write_long_scan"]
