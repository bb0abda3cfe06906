"""The public names, once: for type checkers as they stand here, at run time as `__init__.py` reads them."""

from hf_equi import actions as actions
from hf_equi import auto as auto
from hf_equi import bases as bases
from hf_equi import canonicalization as canonicalization
from hf_equi import environments as environments
from hf_equi import errors as errors
from hf_equi import fairness as fairness
from hf_equi import generation as generation
from hf_equi import groups as groups
from hf_equi import hub as hub
from hf_equi import image_audit as image_audit
from hf_equi import models as models
from hf_equi import networks as networks
from hf_equi import registration as registration
from hf_equi import symmetrizers as symmetrizers
from hf_equi import testing as testing
from hf_equi import training as training
from hf_equi.actions import (
    Action as Action,
)
from hf_equi.actions import (
    ColumnAction as ColumnAction,
)
from hf_equi.actions import (
    GridAction as GridAction,
)
from hf_equi.actions import (
    PixelAction as PixelAction,
)
from hf_equi.actions import (
    TokenAction as TokenAction,
)
from hf_equi.actions import (
    TokenPairAction as TokenPairAction,
)
from hf_equi.actions import (
    WordAction as WordAction,
)
from hf_equi.auto import symmetrize as symmetrize
from hf_equi.generation import (
    EquiLogitsProcessor as EquiLogitsProcessor,
)
from hf_equi.generation import (
    EquizeroSearch as EquizeroSearch,
)
from hf_equi.generation import (
    LabelScorer as LabelScorer,
)
from hf_equi.generation import (
    RegardScorer as RegardScorer,
)
from hf_equi.groups import (
    DemographicGroup as DemographicGroup,
)
from hf_equi.groups import (
    FiniteGroup as FiniteGroup,
)
from hf_equi.groups import (
    ImageGroup as ImageGroup,
)
from hf_equi.groups import (
    register_group as register_group,
)
from hf_equi.models.causal_lm import (
    EquiLM as EquiLM,
)
from hf_equi.models.causal_lm import (
    EquiLMConfig as EquiLMConfig,
)
from hf_equi.models.causal_lm import (
    EquizeroLM as EquizeroLM,
)
from hf_equi.models.causal_lm import (
    EquizeroLMConfig as EquizeroLMConfig,
)
from hf_equi.models.clip import (
    EquiCLIPConfig as EquiCLIPConfig,
)
from hf_equi.models.clip import (
    EquiCLIPModel as EquiCLIPModel,
)
from hf_equi.models.clip import (
    EquiSiglipConfig as EquiSiglipConfig,
)
from hf_equi.models.clip import (
    EquiSiglipModel as EquiSiglipModel,
)
from hf_equi.models.dense import (
    EquiDenseConfig as EquiDenseConfig,
)
from hf_equi.models.dense import (
    EquiForDensePrediction as EquiForDensePrediction,
)
from hf_equi.models.image_classification import (
    EquiForImageClassification as EquiForImageClassification,
)
from hf_equi.models.image_classification import (
    EquiImageClassificationConfig as EquiImageClassificationConfig,
)
from hf_equi.models.image_classification import (
    EquiImageModel as EquiImageModel,
)
from hf_equi.models.point_clouds import (
    EquiForNBody as EquiForNBody,
)
from hf_equi.models.point_clouds import (
    EquiForPointCloudClassification as EquiForPointCloudClassification,
)
from hf_equi.models.point_clouds import (
    EquiForPointCloudSegmentation as EquiForPointCloudSegmentation,
)
from hf_equi.models.point_clouds import (
    EquiNBodyConfig as EquiNBodyConfig,
)
from hf_equi.models.point_clouds import (
    EquiPointCloudClassificationConfig as EquiPointCloudClassificationConfig,
)
from hf_equi.models.point_clouds import (
    EquiPointCloudSegmentationConfig as EquiPointCloudSegmentationConfig,
)
from hf_equi.models.point_clouds import (
    PointCloudProcessor as PointCloudProcessor,
)
from hf_equi.models.q_network import EquiQNetwork as EquiQNetwork
from hf_equi.models.q_network import EquiQNetworkConfig as EquiQNetworkConfig
from hf_equi.models.sam import EquiSamConfig as EquiSamConfig
from hf_equi.models.sam import EquiSamModel as EquiSamModel
from hf_equi.models.sam import SamEmbeddings as SamEmbeddings
from hf_equi.models.seq2seq import EquiForSeq2SeqLM as EquiForSeq2SeqLM
from hf_equi.models.seq2seq import EquiSeq2SeqConfig as EquiSeq2SeqConfig
from hf_equi.models.vision.square import square_picture as square_picture
from hf_equi.models.vision.symmetric_processor import symmetric_processor as symmetric_processor
from hf_equi.networks.point_clouds import (
    DGCNNConfig as DGCNNConfig,
)
from hf_equi.networks.point_clouds import (
    DGCNNForPointCloudClassification as DGCNNForPointCloudClassification,
)
from hf_equi.networks.point_clouds import (
    DGCNNForPointCloudSegmentation as DGCNNForPointCloudSegmentation,
)
from hf_equi.networks.point_clouds import (
    DGCNNSegmentationConfig as DGCNNSegmentationConfig,
)
from hf_equi.networks.point_clouds import (
    NBodyNetwork as NBodyNetwork,
)
from hf_equi.networks.point_clouds import (
    NBodyNetworkConfig as NBodyNetworkConfig,
)
from hf_equi.networks.point_clouds import (
    PointNetConfig as PointNetConfig,
)
from hf_equi.networks.point_clouds import (
    PointNetForPointCloudClassification as PointNetForPointCloudClassification,
)
from hf_equi.networks.point_clouds import (
    PointNetForPointCloudSegmentation as PointNetForPointCloudSegmentation,
)
from hf_equi.networks.point_clouds import (
    PointNetSegmentationConfig as PointNetSegmentationConfig,
)
from hf_equi.networks.q_network import QNetwork as QNetwork
from hf_equi.networks.q_network import QNetworkConfig as QNetworkConfig
from hf_equi.networks.recurrent_seq2seq import (
    GroupRecurrentSeq2Seq as GroupRecurrentSeq2Seq,
)
from hf_equi.networks.recurrent_seq2seq import (
    GroupRecurrentSeq2SeqConfig as GroupRecurrentSeq2SeqConfig,
)
from hf_equi.networks.recurrent_seq2seq import (
    RecurrentSeq2Seq as RecurrentSeq2Seq,
)
from hf_equi.networks.recurrent_seq2seq import (
    RecurrentSeq2SeqConfig as RecurrentSeq2SeqConfig,
)
from hf_equi.registration import register_method as register_method
from hf_equi.registration import register_task as register_task

__version__: str
