"""The registrations of the library itself: one call for each task, and the networks that transformers lacks."""

from __future__ import annotations

from hf_equi.registration import ModelPlace, register_models, register_task

__all__ = []

_CAUSAL_LM, _SEQ2SEQ = "hf_equi.models.causal_lm", "hf_equi.models.seq2seq"
_CLIP, _CLASSIFICATION = "hf_equi.models.clip", "hf_equi.models.image_classification"
_DENSE = "hf_equi.models.dense"
_RECURRENT = "hf_equi.networks.recurrent_seq2seq"
_SAM = "hf_equi.models.sam"
_Q_NETWORK, _EQUI_Q_NETWORK = "hf_equi.networks.q_network", "hf_equi.models.q_network"
_POINT_CLOUD_NETWORKS, _POINT_CLOUDS = "hf_equi.networks.point_clouds", "hf_equi.models.point_clouds"
_EQUITUNE, _IDENTITY = "hf_equi.symmetrizers:Equitune", "hf_equi.symmetrizers:Identity"
_CANONICAL = "hf_equi.symmetrizers:Canonical"
_LEARNED_CANONICAL = "hf_equi.canonicalization:LearnedCanonical"
_CANONICAL_LAMBDA = "hf_equi.canonicalization:LearnedCanonicalLambda"
_LAMBDA, _ATTENTION = "hf_equi.symmetrizers:LambdaEquitune", "hf_equi.symmetrizers:Attention"

register_task(
    name="causal_lm",
    title="text generation",
    task=f"{_CAUSAL_LM}.task:CausalLMTask",
    models=[
        ModelPlace("equi_lm", _CAUSAL_LM, "EquiLMConfig", "EquiLM", ("AutoModelForCausalLM",)),
        ModelPlace("equizero_lm", _CAUSAL_LM, "EquizeroLMConfig", "EquizeroLM", ("AutoModelForCausalLM",)),
    ],
    methods={
        "equitune": _EQUITUNE,
        "equizero": "hf_equi.symmetrizers:DraftedEquizero",
        "mixture": "hf_equi.symmetrizers:Mixture",
        "canonical": _CANONICAL,
        "identity": _IDENTITY,
    },
)
register_task(
    name="seq2seq",
    title="text-to-text generation",
    task=f"{_SEQ2SEQ}.task:Seq2SeqTask",
    models=[ModelPlace("equi_seq2seq", _SEQ2SEQ, "EquiSeq2SeqConfig", "EquiForSeq2SeqLM", ("AutoModelForSeq2SeqLM",))],
    methods={
        "equitune": _EQUITUNE,
        "equizero": f"{_SEQ2SEQ}.methods:equizero",
        "lambda": _LAMBDA,
        "canonical": _CANONICAL,
        "identity": _IDENTITY,
    },
)
register_task(
    name="clip",
    title="zero-shot image classification",
    task=f"{_CLIP}.task:CLIPTask",
    models=[
        # transformers loads these models through both Auto classes.
        ModelPlace(model_type, _CLIP, config, model, ("AutoModelForZeroShotImageClassification", "AutoModel"))
        for model_type, config, model in (
            ("equi_clip", "EquiCLIPConfig", "EquiCLIPModel"),
            ("equi_siglip", "EquiSiglipConfig", "EquiSiglipModel"),
        )
    ],
    methods={
        "equitune": _EQUITUNE,
        "equizero": f"{_CLIP}.methods:equizero",
        "lambda": _LAMBDA,
        "attention": _ATTENTION,
        "canonical": _LEARNED_CANONICAL,
        "canonical_lambda": _CANONICAL_LAMBDA,
        "identity": _IDENTITY,
    },
)
register_task(
    name="image_classification",
    task=f"{_CLASSIFICATION}.task:ImageClassificationTask",
    models=[
        ModelPlace(
            "equi_image_classification",
            _CLASSIFICATION,
            "EquiImageClassificationConfig",
            "EquiForImageClassification",
            ("AutoModelForImageClassification",),
            headless="EquiImageModel",
        )
    ],
    methods={
        "equitune": _EQUITUNE,
        "equizero": f"{_CLASSIFICATION}.methods:equizero",
        "lambda": _LAMBDA,
        "attention": _ATTENTION,
        "canonical": _LEARNED_CANONICAL,
        "canonical_lambda": _CANONICAL_LAMBDA,
        "identity": _IDENTITY,
    },
)
register_task(
    name="dense",
    title="dense prediction",
    task=f"{_DENSE}.task:DenseTask",
    models=[
        ModelPlace(
            "equi_dense",
            _DENSE,
            "EquiDenseConfig",
            "EquiForDensePrediction",
            ("AutoModelForSemanticSegmentation", "AutoModelForDepthEstimation", "AutoModelForPoseEstimation"),
        )
    ],
    methods={
        "equitune": _EQUITUNE,
        "equizero": f"{_DENSE}.methods:equizero",
        "lambda": _LAMBDA,
        "mixture": "hf_equi.symmetrizers:OneDraw",
        "canonical": _LEARNED_CANONICAL,
        "canonical_lambda": _CANONICAL_LAMBDA,
        "identity": _IDENTITY,
    },
)
register_task(
    name="sam",
    title="segmentation by prompts",
    task=f"{_SAM}.task:SamTask",
    # transformers loads these models through both Auto classes.
    models=[
        ModelPlace("equi_sam", _SAM, "EquiSamConfig", "EquiSamModel", ("AutoModelForMaskGeneration", "AutoModel"))
    ],
    methods={
        "equitune": _EQUITUNE,
        "equizero": f"{_SAM}.methods:equizero",
        "lambda": _LAMBDA,
        "canonical": _LEARNED_CANONICAL,
        "identity": _IDENTITY,
    },
)
register_task(
    name="q_network",
    title="Q-networks",
    task=f"{_EQUI_Q_NETWORK}.task:QNetworkTask",
    models=[ModelPlace("equi_q_network", _EQUI_Q_NETWORK, "EquiQNetworkConfig", "EquiQNetwork", ("AutoModel",))],
    methods={
        "equitune": _EQUITUNE,
        "equizero": "hf_equi.symmetrizers:Equizero",
        "lambda": _LAMBDA,
        "canonical": _CANONICAL,
        "identity": _IDENTITY,
    },
)
for _name, _title, _model, _methods in (
    (
        "point_cloud_classification",
        None,
        "PointCloudClassification",
        {"equizero": f"{_POINT_CLOUDS}.methods:equizero"},
    ),
    ("point_cloud_segmentation", None, "PointCloudSegmentation", {"equizero": f"{_POINT_CLOUDS}.methods:equizero"}),
    ("n_body", "the motion of bodies", "NBody", {}),
):
    register_task(
        name=_name,
        title=_title,
        task=f"{_POINT_CLOUDS}.task:{_model}Task",
        models=[ModelPlace(f"equi_{_name}", _POINT_CLOUDS, f"Equi{_model}Config", f"EquiFor{_model}", ("AutoModel",))],
        methods={
            "equitune": f"{_POINT_CLOUDS}.methods:equitune",
            **_methods,
            "lambda": f"{_POINT_CLOUDS}.methods:lambda_equitune",
            "mixture": f"{_POINT_CLOUDS}.methods:PoseMixture",
            "canonical": _LEARNED_CANONICAL,
            "canonical_lambda": _CANONICAL_LAMBDA,
            "identity": _IDENTITY,
        },
    )
register_models([ModelPlace("q_network", _Q_NETWORK, "QNetworkConfig", "QNetwork", ("AutoModel",))])
register_models(
    ModelPlace(model_type, _POINT_CLOUD_NETWORKS, config, model, ("AutoModel",))
    for model_type, config, model in (
        ("point_net", "PointNetConfig", "PointNetForPointCloudClassification"),
        ("point_net_segmentation", "PointNetSegmentationConfig", "PointNetForPointCloudSegmentation"),
        ("dgcnn", "DGCNNConfig", "DGCNNForPointCloudClassification"),
        ("dgcnn_segmentation", "DGCNNSegmentationConfig", "DGCNNForPointCloudSegmentation"),
        ("n_body_network", "NBodyNetworkConfig", "NBodyNetwork"),
    )
)
register_models(
    ModelPlace(model_type, _RECURRENT, f"{model}Config", model, ("AutoModelForSeq2SeqLM",))
    for model_type, model in (
        ("recurrent_seq2seq", "RecurrentSeq2Seq"),
        ("group_recurrent_seq2seq", "GroupRecurrentSeq2Seq"),
    )
)
