"""Same function, same arguments, same values; it writes down what it was asked.

What it answers is set in `answer`: a function from the scan to the multi-label values.
"""

from __future__ import annotations

import SimpleITK

calls = []
answer = None


def totalsegmentator(
    input, output=None, ml=False, nr_thr_resamp=1, nr_thr_saving=6, fast=False, nora_tag="None", preview=False,
    task="total", roi_subset=None, statistics=False, radiomics=False, crop_path=None, body_seg=False, force_split=False,
    output_type="nifti", quiet=False, verbose=False, test=0, skip_saving=False, device="gpu", license_number=None,
    statistics_exclude_masks_at_border=True, no_derived_masks=False, v1_order=False, fastest=False,
    roi_subset_robust=None,
):  # fmt: skip
    print(f"Using Device: {device}")  # noqa: T201  # as the real one does
    scan = SimpleITK.ReadImage(str(input))
    calls.append({
        "shape_zyx": scan.GetSize()[::-1], "task": task, "ml": ml, "device": device, "roi_subset": roi_subset,
        "threads": (nr_thr_resamp, nr_thr_saving), "input": input,
    })  # fmt: skip
    labels = SimpleITK.GetImageFromArray(answer(scan))
    labels.CopyInformation(scan)
    SimpleITK.WriteImage(labels, str(output))
    return labels
