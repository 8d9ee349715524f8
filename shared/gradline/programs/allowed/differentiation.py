"""Functions of `torch.autograd`."""

AUTOGRAD = """
backward = tensors grad_tensors retain_graph create_graph inputs
grad = outputs inputs grad_outputs retain_graph create_graph allow_unused materialize_grads only_inputs is_grads_batched
Variable = data requires_grad
no_grad enable_grad inference_mode = mode
set_grad_enabled set_detect_anomaly detect_anomaly = mode check_nan
gradcheck gradgradcheck = func inputs eps atol rtol raise_exception
functional.jacobian functional.hessian = func inputs create_graph strict vectorize
functional.vjp functional.jvp functional.hvp functional.vhp = func inputs v create_graph strict
forward_ad.dual_level =
forward_ad.make_dual forward_ad.unpack_dual = tensor tangent level
forward_ad.enter_dual_level forward_ad.exit_dual_level = level
graph.saved_tensors_hooks = pack_hook unpack_hook
graph.save_on_cpu = pin_memory
Function =
function.once_differentiable =
"""
