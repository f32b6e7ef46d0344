"""De-identified case packs: what a device representative needs of a plan, and nothing that names the patient."""
