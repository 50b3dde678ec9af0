"""Beyond which pixel mattered: what a network holds inside, what would change its answer, which inputs taught it.

`inside` looks into layers, `counterfactuals` changes inputs, `influence` asks what each training input did.
"""
