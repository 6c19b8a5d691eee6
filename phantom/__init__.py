"""Synthetic mammography patients: four consistent views, known lesions, proper DICOM."""
