# ruff: noqa: E501  a row of a table is easier to read on one line
"""Methods and attributes, by the kind of value that they belong to."""

from typing import Final

from gradline.programs.allowed.rows import read, words
from gradline.programs.allowed.torch_functions import TORCH

_TENSOR = """
backward = gradient retain_graph create_graph inputs
requires_grad_ = requires_grad
detach_ retain_grad item tolist dim ndimension numel nelement element_size data_ptr is_contiguous contiguous stride = dim
numpy = force
register_hook register_post_accumulate_grad_hook =
is_inference is_same_size sum_to_size type_as select =
size = dim
zero_ double half bfloat16 long int short bool cpu cuda t_ tril_ triu_ = diagonal
fill_ copy_ = value src
normal_ = mean std generator
uniform_ = from to generator
random_ bernoulli_ exponential_ = generator
to = dtype device copy
type = dtype
type_as view_as reshape_as expand_as new_tensor new_zeros new_ones new_full = size dtype device requires_grad data fill_value
view reshape permute repeat expand = dtype
float =
softmax log_softmax = dim dtype
unflatten = dim sizes
unfold = dimension size step
index_put_ index_copy_ index_fill_ index_add_ scatter_ scatter_add_ masked_fill_ masked_scatter_ = dim index src source value
clamp_ clip_ = min max
add_ sub_ = other alpha
mul_ div_ pow_ remainder_ fmod_ = other exponent rounding_mode
neg_ exp_ log_ sqrt_ sin_ cos_ tan_ tanh_ sigmoid_ relu_ abs_ square_ reciprocal_ floor_ ceil_ round_ sign_ rsqrt_ log1p_ expm1_ =
squeeze_ unsqueeze_ transpose_ = dim dim0 dim1
addmm_ addcmul_ addcdiv_ lerp_ = mat1 mat2 beta alpha tensor1 tensor2 value weight end
eq_ lt_ gt_ =
is_complex clamp_min clamp_max =
resolve_conj =
"""

_NO_METHOD = words(
    """
    tensor as_tensor zeros ones rand randn full eye arange linspace logspace randint randperm zeros_like ones_like
    rand_like randn_like full_like manual_seed cat concat concatenate stack hstack vstack dstack column_stack
    row_stack einsum tensordot vmap no_grad enable_grad inference_mode set_grad_enabled set_default_dtype
    set_printoptions device Size get_default_dtype broadcast_tensors meshgrid is_tensor is_grad_enabled cdist
    from_numpy normal result_type selu complex polar view_as_real initial_seed Generator std_mean var_mean trapz
    trapezoid bucketize searchsorted atleast_1d atleast_2d block_diag cartesian_prod combinations set_default_device
    set_num_threads get_num_threads use_deterministic_algorithms is_inference_mode_enabled
    """
)
"""Functions of torch that are no methods of a tensor."""

METHODS: Final[dict[str, dict[str, frozenset[str]]]] = {
    "tensor": {
        **{name: keys - {"input"} for name, keys in read(TORCH).items() if name not in _NO_METHOD},
        **read(_TENSOR),
    },
    "list": read("append extend insert pop reverse index count copy clear ="),
    "tuple": read("index count ="),
    "dict": read("items keys values get pop setdefault clear copy popitem move_to_end =\nupdate = *"),
    "set": read("add remove discard union intersection difference update copy clear pop issubset issuperset ="),
    "str": read(
        "format = *\nreplace count find index isdigit isalpha zfill splitlines join upper lower strip lstrip rstrip split ljust rjust center startswith endswith title capitalize ="
    ),
    "float": read("is_integer ="),
    "node": read("name register_hook register_prehook ="),
    "handle": read("remove ="),
    "module": read(
        "parameters named_parameters buffers named_buffers modules named_modules children named_children state_dict "
        "requires_grad_ train eval double float forward cpu cuda apply get_parameter extend append load_state_dict =\n"
        "register_forward_hook register_forward_pre_hook register_full_backward_hook =\n"
        "register_buffer register_parameter add_module register_module = name tensor param module persistent\n"
        "to = device dtype\nzero_grad = set_to_none\nitems keys values ="
    ),
    "optimizer": read("step = closure\nzero_grad = set_to_none\nstate_dict add_param_group ="),
    "size": read("numel index count ="),
    "context": read("save_for_backward mark_non_differentiable mark_dirty set_materialize_grads ="),
    "function class": read("apply ="),
    "array": read(
        "tolist item dot copy flatten ravel transpose squeeze argsort nonzero fill =\n"
        "sum mean std var max min argmax argmin prod all any cumsum = axis keepdims dtype ddof\n"
        "reshape = shape\nastype = dtype\nclip = min max\nround = decimals"
    ),
    "numpy generator": read(
        "random standard_normal = size\nnormal uniform = loc scale low high size\n"
        "integers choice = low high size a replace p\npermutation shuffle = x"
    ),
    "generator": read("manual_seed initial_seed seed ="),
    "scheduler": read("step = metrics\nget_last_lr state_dict ="),
    "finfo": {},
}
"""Every method by the kind of value it belongs to, with its keyword arguments; `*` is any."""

_ATTRIBUTES = """
tensor = grad grad_fn requires_grad is_leaf data shape dtype device ndim T mT H retains_grad output_nr _version _base is_cuda real imag itemsize nbytes layout
node = next_functions variable requires_grad _saved_self _saved_other _saved_result _saved_exponent _saved_mat1 _saved_mat2 _saved_tensor1 _saved_tensor2 _saved_input _saved_target _saved_weight _saved_dim _saved_alpha _saved_condition _saved_mask _saved_indices saved_tensors
module = weight bias training in_features out_features in_channels out_channels kernel_size stride padding running_mean running_var num_features
generator = device
optimizer = param_groups defaults state
context = saved_tensors needs_input_grad
named = values indices sign logabsdet eigenvalues eigenvectors primal tangent Q R U S Vh
array = shape dtype ndim size T nbytes
class = __name__
scheduler = last_epoch
type = __name__
error = args
function = __name__
device = type index
dtype = is_floating_point
complex = real imag
"""

ATTRIBUTES: Final = {
    kind.strip(): frozenset(names.split())
    for kind, names in (line.split(" = ") for line in _ATTRIBUTES.strip().splitlines())
}
"""Every attribute that can be read, by the kind of value it belongs to."""

ASSIGNABLE: Final = {"tensor": frozenset({"grad", "requires_grad", "data"})}
"""Every attribute that can be assigned."""

MEMBERS: Final = frozenset().union(*METHODS.values(), *ATTRIBUTES.values())
"""Every method and attribute of any kind of value: what may stand behind a dot."""

MEMBER_KEYWORDS: Final = {
    name: frozenset().union(*(table[name] for table in METHODS.values() if name in table))
    for name in frozenset().union(*METHODS.values())
}
"""Every method with the keywords that any kind of value takes for it."""
