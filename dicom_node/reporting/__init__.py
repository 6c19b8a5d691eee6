"""ANALYZED -> REPORTED: findings become DICOM objects, each proved before it may leave."""
