"""DICOM files for tests, written with pydicom, with everything in them that must never come out again."""

from io import BytesIO

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

SECRETS = {
    "PatientName": "Quaxenberg^Lutetia^Philomena",
    "PatientID": "HOSP-7731905",
    "PatientBirthDate": "19511103",
    "PatientAddress": "Wisterienallee 41",
    "OtherPatientIDs": "ZX-55120-K",
    "InstitutionName": "Klinikum Obersteinbrunn",
    "InstitutionalDepartmentName": "Abteilung Quarzlampe",
    "ReferringPhysicianName": "Drossbacher^Ignatius",
    "OperatorsName": "Vellmarin^Tobiah",
    "AccessionNumber": "ACC-90210-77",
    "StudyDate": "20190817",
    "SeriesDate": "20190818",
    "AcquisitionDateTime": "20190819134455.123456",
    "StudyID": "ST-448811",
    "StudyDescription": "Dermoskopie Schulterblatt Quaxenberg",
    "SeriesDescription": "Serie fuer Dr Drossbacher",
    "StationName": "WARD9-PC-ARIADNE",
    "DeviceSerialNumber": "SN-00-ARIADNE-5",
    "ImageComments": "bekannte Patientin Quaxenberg",
    "RequestingPhysician": "Sommerhalden^Ute",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.111222333444",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.555666777888",
}
"""What a file may say of a person, by element; none of these texts is a part of another word."""


def dicom(
    pixels: np.ndarray,
    photometric: str = "MONOCHROME2",
    *,
    bits: int | None = None,
    syntax: str = ExplicitVRLittleEndian,
    secrets: dict[str, str] | None = None,
    **elements: object,
) -> bytes:
    """A file of pixels (H, W), (H, W, 3), or (N, H, W) with NumberOfFrames=N among the elements.

    `bits` are stored, all that the type has unless said. An element of None is left out.
    """
    image = Dataset()
    image.preamble, image.file_meta = b"\0" * 128, FileMetaDataset()
    image.file_meta.TransferSyntaxUID = syntax
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = SecondaryCaptureImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = generate_uid()
    for name, value in (SECRETS if secrets is None else secrets).items():
        setattr(image, name, value)
    allocated = 8 * pixels.dtype.itemsize
    rows = pixels.shape[1:] if "NumberOfFrames" in elements else pixels.shape
    image.Rows, image.Columns = rows[:2]
    image.SamplesPerPixel = 3 if len(rows) == 3 else 1
    if len(rows) == 3:
        image.PlanarConfiguration = 0
    image.PhotometricInterpretation = photometric
    image.BitsAllocated, image.BitsStored = allocated, bits or allocated
    image.HighBit = image.BitsStored - 1
    image.PixelRepresentation = int(pixels.dtype.kind == "i")
    data = pixels.astype(pixels.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<")).tobytes()
    image.PixelData = data + b"\0" * (len(data) % 2)
    image["PixelData"].VR = "OW" if allocated > 8 else "OB"
    for name, value in elements.items():
        if value is None:
            delattr(image, name)
        else:
            setattr(image, name, value)
    stream = BytesIO()
    image.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def look_up_table(entries: list[int], first: int, bits: int, *, packed: bool = False) -> list[Dataset]:
    """A modality or VOI LUT sequence of one table; `packed`: as bytes of an OW."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    if packed:
        item.add_new("LUTData", "OW", np.array(entries, dtype="<u2").tobytes())
    else:
        item.add_new("LUTData", "US", entries)
    return [item]
