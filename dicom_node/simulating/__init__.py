"""Modalities, archives and wires with faults, for whoever tries a node before it is needed."""
