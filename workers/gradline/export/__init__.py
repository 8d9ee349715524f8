"""A finished model in other formats, made from its scorecard once the job has ended and checked on rows of its own.

sql           a SELECT that any SQL database with EXP understands
onnx_model    an ONNX graph of the raw columns
torch_model   a torch.export program (.pt2) of numbers and codes of levels
checking      the same predictions as the scorecard's, on the rows that it carries
"""
