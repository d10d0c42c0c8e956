//! Numbers that the C library's functions look up.
//!
//! They are values of `2^x`, `log x`, `sin x` and `cos x` at evenly spaced points, with what a double
//! of them lacks. The points of the logarithm are those of Arm's Optimized Routines (which glibc
//! and musl share; MIT or Apache-2.0): their logarithms happen to be almost doubles with short
//! significands. The tails of the sines stand as they were first published (IBM Accurate
//! Mathematical Library, 1996), where 18 of them are off in the last digit.

/// A table, and where in it is looked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Table {
    Power,
    PowerTail,
    Inverse,
    Logarithm,
    /// Those for powers.
    ShortInverse,
    LongLogarithm,
    LongLogarithmTail,
    /// The sine of `i/128`; from 128 on the cosine of `(i - 128)/128`.
    Circular,
    CircularTail,
    /// The same with sine and cosine exchanged.
    Complement,
    ComplementTail,
}

impl Table {
    /// The address of its first number.
    pub(super) fn address(self) -> usize {
        let numbers = match self {
            Self::Power => &POWER[..],
            Self::PowerTail => &POWER_TAIL,
            Self::Inverse => &INVERSE,
            Self::Logarithm => &LOGARITHM,
            Self::ShortInverse => &SHORT_INVERSE,
            Self::LongLogarithm => &LONG_LOGARITHM,
            Self::LongLogarithmTail => &LONG_LOGARITHM_TAIL,
            Self::Circular => &CIRCULAR,
            Self::CircularTail => &CIRCULAR_TAIL,
            Self::Complement => &CIRCULAR[128..],
            Self::ComplementTail => &CIRCULAR_TAIL[128..],
        };
        numbers.as_ptr().expose_provenance()
    }
}

static CIRCULAR: [u64; 384] = circular(&SINE, &COSINE);
static CIRCULAR_TAIL: [u64; 384] = circular(&SINE_TAIL, &COSINE_TAIL);

/// The sine's numbers, the cosine's and the sine's again, 128 each.
const fn circular(sine: &[u64; 110], cosine: &[u64; 110]) -> [u64; 384] {
    let mut all = [0; 384];
    let mut at = 0;
    while at < 110 {
        all[at] = sine[at];
        all[128 + at] = cosine[at];
        all[256 + at] = sine[at];
        at += 1;
    }
    all
}

/// `2^(i/128)` to the nearest, less `i << 45`, so that the bits of `128·exponent + i` can be added.
#[rustfmt::skip]
static POWER: [u64; 128] = [
    0x3ff0_0000_0000_0000, 0x3fef_f63d_a9fb_3335, 0x3fef_ec9a_3e77_8061, 0x3fef_e315_e86e_7f85,
    0x3fef_d9b0_d315_8574, 0x3fef_d06b_29dd_f6de, 0x3fef_c745_1875_9bc8, 0x3fef_be3e_cac6_f383,
    0x3fef_b558_6cf9_890f, 0x3fef_ac92_2b72_47f7, 0x3fef_a3ec_32d3_d1a2, 0x3fef_9b66_affe_d31b,
    0x3fef_9301_d012_5b51, 0x3fef_8abd_c06c_31cc, 0x3fef_829a_aea9_2de0, 0x3fef_7a98_c8a5_8e51,
    0x3fef_72b8_3c7d_517b, 0x3fef_6af9_388c_8dea, 0x3fef_635b_eb6f_cb75, 0x3fef_5be0_8404_5cd4,
    0x3fef_5487_3168_b9aa, 0x3fef_4d50_22fc_d91d, 0x3fef_463b_8862_8cd6, 0x3fef_3f49_917d_dc96,
    0x3fef_387a_6e75_6238, 0x3fef_31ce_4fb2_a63f, 0x3fef_2b45_65e2_7cdd, 0x3fef_24df_e1f5_6381,
    0x3fef_1e9d_f51f_dee1, 0x3fef_187f_d0da_d990, 0x3fef_1285_a6e4_030b, 0x3fef_0caf_a93e_2f56,
    0x3fef_06fe_0a31_b715, 0x3fef_0170_fc4c_d831, 0x3fee_fc08_b264_16ff, 0x3fee_f6c5_5f92_9ff1,
    0x3fee_f1a7_373a_a9cb, 0x3fee_ecae_6d05_d866, 0x3fee_e7db_34e5_9ff7, 0x3fee_e32d_c313_a8e5,
    0x3fee_dea6_4c12_3422, 0x3fee_da45_04ac_801c, 0x3fee_d60a_21f7_2e2a, 0x3fee_d1f5_d950_a897,
    0x3fee_ce08_6061_892d, 0x3fee_ca41_ed1d_0057, 0x3fee_c6a2_b5c1_3cd0, 0x3fee_c32a_f0d7_d3de,
    0x3fee_bfda_d536_2a27, 0x3fee_bcb2_99fd_dd0d, 0x3fee_b9b2_769d_2ca7, 0x3fee_b6da_a2cf_6642,
    0x3fee_b42b_569d_4f82, 0x3fee_b1a4_ca5d_920f, 0x3fee_af47_36b5_27da, 0x3fee_ad12_d497_c7fd,
    0x3fee_ab07_dd48_5429, 0x3fee_a926_8a59_46b7, 0x3fee_a76f_15ad_2148, 0x3fee_a5e1_b976_dc09,
    0x3fee_a47e_b03a_5585, 0x3fee_a346_34cc_c320, 0x3fee_a238_8255_2225, 0x3fee_a155_d44c_a973,
    0x3fee_a09e_667f_3bcd, 0x3fee_a012_750b_dabf, 0x3fee_9fb2_3c65_1a2f, 0x3fee_9f7d_f951_9484,
    0x3fee_9f75_e8ec_5f74, 0x3fee_9f9a_48a5_8174, 0x3fee_9feb_5642_67c9, 0x3fee_a069_4fde_5d3f,
    0x3fee_a114_73eb_0187, 0x3fee_a1ed_0130_c132, 0x3fee_a2f3_36cf_4e62, 0x3fee_a427_543e_1a12,
    0x3fee_a589_994c_ce13, 0x3fee_a71a_4623_c7ad, 0x3fee_a8d9_9b44_92ed, 0x3fee_aac7_d98a_6699,
    0x3fee_ace5_422a_a0db, 0x3fee_af32_16b5_448c, 0x3fee_b1ae_9915_7736, 0x3fee_b45b_0b91_ffc6,
    0x3fee_b737_b0cd_c5e5, 0x3fee_ba44_cbc8_520f, 0x3fee_bd82_9fde_4e50, 0x3fee_c0f1_70ca_07ba,
    0x3fee_c491_82a3_f090, 0x3fee_c863_19e3_2323, 0x3fee_cc66_7b5d_e565, 0x3fee_d09b_ec4a_2d33,
    0x3fee_d503_b23e_255d, 0x3fee_d99e_1330_b358, 0x3fee_de6b_5579_fdbf, 0x3fee_e36b_bfd3_f37a,
    0x3fee_e89f_995a_d3ad, 0x3fee_ee07_298d_b666, 0x3fee_f3a2_b84f_15fb, 0x3fee_f972_8de5_593a,
    0x3fee_ff76_f2fb_5e47, 0x3fef_05b0_30a1_064a, 0x3fef_0c1e_904b_c1d2, 0x3fef_12c2_5bd7_1e09,
    0x3fef_199b_dd85_529c, 0x3fef_20ab_5fff_d07a, 0x3fef_27f1_2e57_d14b, 0x3fef_2f6d_9406_e7b5,
    0x3fef_3720_dcef_9069, 0x3fef_3f0b_555d_c3fa, 0x3fef_472d_4a07_897c, 0x3fef_4f87_080d_89f2,
    0x3fef_5818_dcfb_a487, 0x3fef_60e3_16c9_8398, 0x3fef_69e6_03db_3285, 0x3fef_7321_f301_b460,
    0x3fef_7c97_337b_9b5f, 0x3fef_8646_14f5_a129, 0x3fef_902e_e78b_3ff6, 0x3fef_9a51_fbc7_4c83,
    0x3fef_a4af_a2a4_90da, 0x3fef_af48_2d8e_67f1, 0x3fef_ba1b_ee61_5a27, 0x3fef_c52b_376b_ba97,
    0x3fef_d076_5b6e_4540, 0x3fef_dbfd_ad9c_be14, 0x3fef_e7c1_819e_90d8, 0x3fef_f3c2_2b8f_71f1,
];

/// The relative error of `2^(i/128)` as rounded.
#[rustfmt::skip]
static POWER_TAIL: [u64; 128] = [
    0x0000_0000_0000_0000, 0x3c9b_3b4f_1a88_bf6e, 0xbc71_6013_9cd8_dc5d, 0xbc90_5e7a_1087_66d1,
    0x3c8c_d252_3567_f613, 0xbc8b_ce80_23f9_8efa, 0x3c60_f74e_61e6_c861, 0x3c90_a3e4_5b33_d399,
    0x3c97_9aa6_5d83_7b6d, 0x3c8e_b51a_92fd_effc, 0x3c3e_be3d_702f_9cd1, 0xbc6a_0334_8990_6e0b,
    0xbc95_5652_2a2f_bd0e, 0xbc50_80ef_8c4e_ea55, 0xbc91_c923_b9d5_f416, 0x3c80_d3e3_e95c_55af,
    0xbc80_1b15_eaa5_9348, 0xbc8f_1ff0_55de_323d, 0x3c8b_898c_3f13_53bf, 0xbc96_d99c_7611_eb26,
    0x3c9a_ecf7_3e3a_2f60, 0xbc8f_e782_cb86_389d, 0x3c8a_6f41_44a6_c38d, 0x3c80_7a05_b0e4_047d,
    0x3c96_8efd_e3a8_a894, 0x3c87_5e18_f274_487d, 0x3c80_472b_981f_e7f2, 0xbc96_b87b_3f71_085e,
    0x3c82_f7e1_6d09_ab31, 0xbc3d_219b_1a6f_bffa, 0x3c8b_3782_720c_0ab4, 0x3c6e_1492_89ce_cb8f,
    0x3c83_4d75_4db0_abb6, 0x3c86_4201_e2ac_744c, 0x3c8f_dd39_5dd3_f84a, 0xbc86_a380_3b8e_5b04,
    0xbc92_4aed_cc4b_5068, 0xbc99_07f8_1b51_2d8e, 0xbc71_d1e8_3e94_36d2, 0xbc99_1919_b3ce_1b15,
    0x3c85_9f48_a72a_4c6d, 0xbc93_1260_7a28_698a, 0xbc58_a78f_4817_895b, 0xbc7c_2c9b_6749_9a1b,
    0x3c43_63ed_60c2_ac11, 0x3c96_6609_3b06_64ef, 0x3c6e_cce1_daa1_0379, 0x3c93_ff8e_3f0f_1230,
    0x3c76_90ce_bb7a_afb0, 0x3c93_1dbd_eb54_e077, 0xbc8f_9434_0071_a38e, 0xbc87_decc_dc93_a349,
    0xbc78_dec6_bd0f_385f, 0xbc86_1246_ec7b_5cf6, 0x3c93_3505_18fd_d78e, 0x3c7b_98b7_2f8a_9b05,
    0x3c90_63e1_e21c_5409, 0x3c34_c785_5019_c6ea, 0x3c94_32e6_2b64_c035, 0xbc8c_e44a_6199_769f,
    0xbc8c_33c5_3bef_4da8, 0xbc84_5378_892b_e9ae, 0xbc93_cedd_7856_5858, 0x3c57_10aa_807e_1964,
    0xbc93_b3ef_bf5e_2228, 0xbc6a_12ad_8734_b982, 0xbc63_67ef_b86d_a9ee, 0xbc80_dc3d_54e0_8851,
    0xbc78_1f64_7e5a_3ecf, 0xbc86_ee4a_c08b_7db0, 0xbc86_1932_1e55_e68a, 0x3c90_9ccb_5e09_d4d3,
    0xbc7b_32dc_b94d_a51d, 0x3c94_ecfd_5467_c06b, 0x3c65_ebe1_abd6_6c55, 0xbc88_a1c5_2fb3_cf42,
    0xbc93_69b6_f13b_3734, 0xbc80_5e84_3a19_ff1e, 0xbc94_d450_d872_576e, 0x3c90_ad67_5b0e_8a00,
    0x3c8d_b72f_c1f0_eab4, 0xbc65_b660_9cc5_e7ff, 0x3c7b_f683_59f3_5f44, 0xbc93_091f_a71e_3d83,
    0xbc5d_a9b8_8b6c_1e29, 0xbc6c_23f9_7c90_b959, 0xbc92_4343_22f4_f9aa, 0xbc85_ca6c_d766_8e4b,
    0x3c71_affc_2b91_ce27, 0x3c6d_d235_e10a_73bb, 0xbc87_c504_2262_2263, 0x3c8b_1c86_e3e2_31d5,
    0xbc91_bbd1_d3bc_bb15, 0x3c90_cc31_9cee_31d2, 0x3c84_6984_6e73_5ab3, 0xbc82_dfcd_978e_9db4,
    0x3c8c_1a77_92cb_3387, 0xbc90_7b8f_4ad1_d9fa, 0xbc55_c3d9_56dc_aeba, 0xbc90_a40e_3da6_f640,
    0xbc68_d6f4_38ad_9334, 0xbc91_eee2_6b58_8a35, 0x3c74_ffd7_0a5f_ddcd, 0xbc91_bdfb_fa92_98ac,
    0x3c73_6eae_30af_0cb3, 0x3c8e_e332_5c9f_fd94, 0x3c84_e08f_d109_59ac, 0x3c63_cdaf_384e_1a67,
    0x3c67_6b2c_6c92_1968, 0xbc80_8a18_83cc_b5d2, 0xbc8f_ad5d_3fff_fa6f, 0xbc90_0dae_3875_a949,
    0x3c74_a385_a63d_07a7, 0xbc82_919e_2040_220f, 0x3c8e_5a50_d5c1_92ac, 0x3c84_3a59_ac01_6b4b,
    0xbc82_d521_07b4_3e1f, 0xbc89_2ab9_3b47_0dc9, 0x3c74_b604_603a_88d3, 0x3c83_c5ec_519d_7271,
    0xbc8f_f712_8fd3_91f0, 0xbc8d_ae98_e223_747d, 0x3c8e_c3bc_41aa_2008, 0x3c84_2b94_c3a9_eb32,
    0x3c8a_64a9_31d1_85ee, 0xbc8e_37ba_e43b_e3ed, 0x3c77_893b_4d91_cd9d, 0x3c53_05c1_4160_cc89,
];

/// `1/c`, where `c` is near the centre of the i-th of 128 intervals and `log c` almost a multiple of 2⁻⁴³.
#[rustfmt::skip]
static INVERSE: [u64; 128] = [
    0x3ff7_34f0_c3e0_de9f, 0x3ff7_1378_6a2c_e91f, 0x3ff6_f260_08fa_b5a0, 0x3ff6_d1a6_1f13_8c7d,
    0x3ff6_b149_0bc5_b4d1, 0x3ff6_9147_332f_0cba, 0x3ff6_719f_1822_4223, 0x3ff6_524f_99a5_1ed9,
    0x3ff6_3356_aa8f_24c4, 0x3ff6_14b3_6b9d_dc14, 0x3ff5_f664_52c6_5c4c, 0x3ff5_d867_b591_2c4f,
    0x3ff5_babc_cb5b_90de, 0x3ff5_9d61_f2d9_1a78, 0x3ff5_8056_1246_5687, 0x3ff5_6397_cee7_6bd3,
    0x3ff5_4725_e2a7_7f93, 0x3ff5_2aff_4206_4583, 0x3ff5_0f22_dbb2_bddf, 0x3ff4_f38f_4734_ded7,
    0x3ff4_d843_cfde_2840, 0x3ff4_bd3e_c078_a3c8, 0x3ff4_a27f_c3e0_258a, 0x3ff4_8805_24d4_8434,
    0x3ff4_6dce_1b19_2d0b, 0x3ff4_53d9_d339_1854, 0x3ff4_3a27_44b4_845a, 0x3ff4_20b5_4115_f8fb,
    0x3ff4_0782_da3e_f4b1, 0x3ff3_ee8f_5d57_fe8f, 0x3ff3_d5d9_a00b_4ce9, 0x3ff3_bd60_c010_c12b,
    0x3ff3_a524_2b75_dab8, 0x3ff3_8d22_cd9f_d002, 0x3ff3_755b_c584_7a1c, 0x3ff3_5dce_49ad_36e2,
    0x3ff3_4679_984d_d440, 0x3ff3_2f5c_ceff_cb24, 0x3ff3_1877_75a1_0d49, 0x3ff3_01c8_373e_3990,
    0x3ff2_eb4e_bb95_f841, 0x3ff2_d50a_0219_a9d1, 0x3ff2_bef9_a8b7_fd2a, 0x3ff2_a91c_7a0c_1bab,
    0x3ff2_9372_6014_b530, 0x3ff2_7dfa_5757_a1f5, 0x3ff2_68b3_9b1d_3bbf, 0x3ff2_539d_838f_f5bd,
    0x3ff2_3eb7_aac9_083b, 0x3ff2_2a01_2ba9_40b6, 0x3ff2_1579_96cc_4132, 0x3ff2_0120_1dd2_fc9b,
    0x3ff1_ecf4_494d_480b, 0x3ff1_d8f5_528f_6569, 0x3ff1_c523_1157_7e7c, 0x3ff1_b17c_74cb_26e9,
    0x3ff1_9e01_0c2c_1ab6, 0x3ff1_8ab0_7bb6_70bd, 0x3ff1_778a_25ef_bcb6, 0x3ff1_648d_354c_31da,
    0x3ff1_51b9_9027_5fdd, 0x3ff1_3f0e_a432_d24c, 0x3ff1_2c8b_7210_f9da, 0x3ff1_1a30_28ec_b531,
    0x3ff1_07fb_da84_34af, 0x3ff0_f5ee_0f4e_6bb3, 0x3ff0_e406_5d2a_9fce, 0x3ff0_d244_632c_a521,
    0x3ff0_c0a7_7ce2_981a, 0x3ff0_af2f_83c6_36d1, 0x3ff0_9ddb_98a0_1339, 0x3ff0_8cab_af52_e7df,
    0x3ff0_7b9f_2f4e_28fb, 0x3ff0_6ab5_8c35_8f19, 0x3ff0_59ee_a5ec_f92c, 0x3ff0_4949_cdd1_2c90,
    0x3ff0_38c6_c6f0_ada9, 0x3ff0_2865_1379_32a9, 0x3ff0_1824_27ea_7348, 0x3ff0_0804_0614_b195,
    0x3fef_e01f_f726_fa1a, 0x3fef_a11c_c261_ea74, 0x3fef_6310_b081_992e, 0x3fef_25f6_3cee_adcd,
    0x3fee_e9c8_0391_13e7, 0x3fee_ae80_78cb_b1ab, 0x3fee_741a_a29d_0c9b, 0x3fee_3a91_830a_99b5,
    0x3fee_01e0_0960_9a56, 0x3fed_ca01_e577_bb98, 0x3fed_92f2_0b7c_9103, 0x3fed_5cac_66fb_5cce,
    0x3fed_272c_aa5e_de9d, 0x3fec_f26e_3e6b_2ccd, 0x3fec_be6d_a2a7_7902, 0x3fec_8b26_6d37_086d,
    0x3fec_5894_bd5d_5804, 0x3fec_26b5_33bb_9f8c, 0x3feb_f583_eeec_e73f, 0x3feb_c4fd_75db_96c1,
    0x3feb_951e_0c86_4a28, 0x3feb_65e2_c5ef_3e2c, 0x3feb_3748_67c9_888b, 0x3feb_094b_211d_304a,
    0x3fea_dbe8_85f2_ef7e, 0x3fea_af1d_3160_3da2, 0x3fea_82e6_3fd3_58a7, 0x3fea_5740_ef09_738b,
    0x3fea_2c2a_90ab_4b27, 0x3fea_01a0_1393_f2d1, 0x3fe9_d79f_24db_3c1b, 0x3fe9_ae25_05c7_b190,
    0x3fe9_852e_f297_ce2f, 0x3fe9_5cba_eea4_4b75, 0x3fe9_34c6_9de7_4838, 0x3fe9_0d4f_2f67_52e6,
    0x3fe8_e652_8eff_d79d, 0x3fe8_bfce_9fcc_007c, 0x3fe8_99c0_dabe_c30e, 0x3fe8_7427_aa23_17fb,
    0x3fe8_4f00_acb3_9a08, 0x3fe8_2a49_e865_3e55, 0x3fe8_0601_95f4_0260, 0x3fe7_e225_63e0_a329,
    0x3fe7_beb3_77dc_b5ad, 0x3fe7_9baa_6797_25c2, 0x3fe7_7907_f217_0657, 0x3fe7_56ca_dbd6_130c,
];

/// `log c` of these, as a multiple of 2⁻⁴³.
#[rustfmt::skip]
static LOGARITHM: [u64; 128] = [
    0xbfd7_cc7f_79e6_9000, 0xbfd7_6fee_c20d_0000, 0xbfd7_13e3_1351_e000, 0xbfd6_b85b_3828_7800,
    0xbfd6_5d55_9080_7800, 0xbfd6_02d0_7618_0000, 0xbfd5_a8ca_8690_9000, 0xbfd5_4f43_5603_5000,
    0xbfd4_f637_c36b_4000, 0xbfd4_9da7_fda8_5000, 0xbfd4_4592_3989_a800, 0xbfd3_edf4_39b0_b800,
    0xbfd3_96ce_448f_7000, 0xbfd3_401e_17bd_a000, 0xbfd2_e9e2_ef46_8000, 0xbfd2_941b_3830_e000,
    0xbfd2_3ec5_8cda_8800, 0xbfd1_e9e1_2927_9000, 0xbfd1_956d_2b48_f800, 0xbfd1_4167_9ab9_f800,
    0xbfd0_edd0_94ef_9800, 0xbfd0_9aa5_18db_1000, 0xbfd0_47e6_5263_b800, 0xbfcf_eb22_4586_f000,
    0xbfcf_474a_7517_b000, 0xbfce_a444_3d10_3000, 0xbfce_020d_44e9_b000, 0xbfcd_60a2_2977_f000,
    0xbfcc_c001_0495_9000, 0xbfcc_2029_5689_1000, 0xbfcb_8117_8d81_1000, 0xbfca_e2c9_ccd3_d000,
    0xbfca_4540_2e12_9000, 0xbfc9_a877_681d_f000, 0xbfc9_0c6d_6948_3000, 0xbfc8_7120_a645_c000,
    0xbfc7_d68f_b414_3000, 0xbfc7_3cb8_3c62_7000, 0xbfc6_a39a_9b37_6000, 0xbfc6_0b31_54b7_a000,
    0xbfc5_737d_7624_3000, 0xbfc4_dc7b_8fc2_3000, 0xbfc4_462c_51d2_0000, 0xbfc3_b08a_bc83_0000,
    0xbfc3_1b99_6b49_0000, 0xbfc2_8754_90a4_4000, 0xbfc1_f3b9_f879_a000, 0xbfc1_60c8_252c_a000,
    0xbfc0_ce7f_57f7_2000, 0xbfc0_3cdc_49fe_a000, 0xbfbf_57bd_bc4b_8000, 0xbfbe_3708_9640_4000,
    0xbfbd_1798_3ef9_4000, 0xbfbb_f967_4ed8_a000, 0xbfba_dc79_202f_6000, 0xbfb9_c0c3_e728_8000,
    0xbfb8_a646_b372_c000, 0xbfb7_8d01_b3ac_0000, 0xbfb6_74f1_4538_0000, 0xbfb5_5e0e_6d87_8000,
    0xbfb4_485c_dea1_e000, 0xbfb3_33d9_4d6a_a000, 0xbfb2_2079_f8c5_6000, 0xbfb1_0e46_9862_2000,
    0xbfaf_fa6c_6ad2_0000, 0xbfad_da8d_4a77_4000, 0xbfab_bcec_e485_0000, 0xbfa9_a189_4012_c000,
    0xbfa7_8858_3302_c000, 0xbfa5_715e_67d6_8000, 0xbfa3_5c8a_4965_8000, 0xbfa1_49e3_6415_4000,
    0xbf9e_72c0_82eb_8000, 0xbf9a_55f1_5252_8000, 0xbf96_3d62_cf81_8000, 0xbf92_28fb_8caa_0000,
    0xbf8c_317b_20f9_0000, 0xbf84_1935_5daa_0000, 0xbf78_1203_c2ec_0000, 0xbf60_0409_7924_0000,
    0x3f6f_eff3_8490_0000, 0x3f87_dc41_353d_0000, 0x3f93_cea3_c4c2_8000, 0x3f9b_9fc1_1489_0000,
    0x3fa1_b0d8_ce11_0000, 0x3fa5_8a5b_d001_c000, 0x3fa9_5c83_40d8_8000, 0x3fad_276a_ef57_8000,
    0x3fb0_7598_e598_c000, 0x3fb2_53f5_e30d_2000, 0x3fb4_2edd_8b38_0000, 0x3fb6_0659_8757_c000,
    0x3fb7_da76_356a_0000, 0x3fb9_ab43_4e1c_6000, 0x3fbb_78c7_bb0d_6000, 0x3fbd_4313_32e7_2000,
    0x3fbf_0a31_71de_6000, 0x3fc0_6715_2b91_4000, 0x3fc1_4785_8292_b000, 0x3fc2_266e_cdca_3000,
    0x3fc3_03d7_a6c5_5000, 0x3fc3_dfc3_3c33_1000, 0x3fc4_ba36_6b7a_8000, 0x3fc5_9339_28d1_f000,
    0x3fc6_6acd_2418_f000, 0x3fc7_40f8_ec66_9000, 0x3fc8_15c0_f51a_f000, 0x3fc8_e929_54f6_8000,
    0x3fc9_bb36_02f8_4000, 0x3fca_8bed_1c2c_0000, 0x3fcb_5b51_5c01_d000, 0x3fcc_2967_ccbc_c000,
    0x3fcc_f635_d548_6000, 0x3fcd_c1bd_3446_c000, 0x3fce_8c01_b8cf_e000, 0x3fcf_5509_c017_9000,
    0x3fd0_0e6c_121f_b800, 0x3fd0_71b8_0e93_d000, 0x3fd0_d46b_9e86_7000, 0x3fd1_3687_334b_d000,
    0x3fd1_980d_6723_4800, 0x3fd1_f8ff_e0cc_8000, 0x3fd2_595f_d763_6800, 0x3fd2_b930_0914_a800,
    0x3fd3_1872_1043_6000, 0x3fd3_7726_6dec_1800, 0x3fd3_d54f_fbaf_3000, 0x3fd4_32ee_e32f_e000,
];

/// `sin(i/128)`.
#[rustfmt::skip]
const SINE: [u64; 110] = [
    0x0000_0000_0000_0000, 0x3f7f_ffea_aaae_eeef, 0x3f8f_ffaa_aaee_eed5, 0x3f97_ff70_0103_3255,
    0x3f9f_feaa_aeee_e86f, 0x3fa3_feb2_b12d_45d5, 0x3fa7_fdc0_1032_fba9, 0x3fab_fc6d_7858_6dac,
    0x3faf_faaa_eeed_4edb, 0x3fb1_fc34_3d80_8bef, 0x3fb3_facb_12d1_755b, 0x3fb5_f911_fd10_b737,
    0x3fb7_f701_0325_50e4, 0x3fb9_f490_2d55_d1f9, 0x3fbb_f1b7_8568_391d, 0x3fbd_ee6f_16c1_cce6,
    0x3fbf_eaae_ee86_ee36, 0x3fc0_f337_8ddd_71d1, 0x3fc1_f0d3_d7af_ceaf, 0x3fc2_ee28_5e4a_b88f,
    0x3fc3_eb31_2c5d_66cb, 0x3fc4_e7ea_4dc5_f27b, 0x3fc5_e44f_cfa1_26f3, 0x3fc6_e05d_c05a_4d4c,
    0x3fc7_dc10_2fba_f2b5, 0x3fc8_d763_2efa_a944, 0x3fc9_d252_d0ce_c312, 0x3fca_ccdb_297a_0765,
    0x3fcb_c6f8_4edc_6199, 0x3fcc_c0a6_5882_89a3, 0x3fcd_b9e1_5fb5_a5d0, 0x3fce_b2a5_7f8a_e5a3,
    0x3fcf_aaee_d4f3_1577, 0x3fd0_515c_bf65_155c, 0x3fd0_cd00_cef3_6436, 0x3fd1_4861_aa94_ddeb,
    0x3fd1_c37d_64c6_b876, 0x3fd2_3e52_111a_af36, 0x3fd2_b8dd_c43e_b49f, 0x3fd3_331e_9404_9f87,
    0x3fd3_ad12_9769_d3d8, 0x3fd4_26b7_e69e_e697, 0x3fd4_a00c_9b0f_3d20, 0x3fd5_190e_cf68_a77a,
    0x3fd5_91bc_9fa2_f597, 0x3fd6_0a14_2907_8775, 0x3fd6_8213_8a38_d7f7, 0x3fd6_f9b8_e33a_0255,
    0x3fd7_7102_5576_4214, 0x3fd7_e7ee_03c8_6d4e, 0x3fd8_5e7a_1282_6949, 0x3fd8_d4a4_a774_992f,
    0x3fd9_4a6b_e9f5_46c5, 0x3fd9_bfce_02e8_0510, 0x3fda_34c9_1cc5_0cca, 0x3fda_a95b_63a0_9277,
    0x3fdb_1d83_0532_1617, 0x3fdb_913e_30db_ac43, 0x3fdc_048b_17b1_40a3, 0x3fdc_7767_ec7f_d19e,
    0x3fdc_e9d2_e3d4_a51f, 0x3fdd_5bca_3404_7661, 0x3fdd_cd4c_1532_9c9a, 0x3fde_3e56_c158_2a69,
    0x3fde_aee8_744b_05f0, 0x3fdf_1eff_6bc4_f97b, 0x3fdf_8e99_e76a_bc97, 0x3fdf_fdb6_28d2_f57a,
    0x3fe0_3629_39c6_9955, 0x3fe0_6d36_8694_6e5b, 0x3fe0_a402_1e9e_1001, 0x3fe0_da8b_26b5_672e,
    0x3fe1_10d0_c4b6_9c3b, 0x3fe1_46d2_1f8b_7f82, 0x3fe1_7c8e_5f2e_edb0, 0x3fe1_b204_acb0_2fdd,
    0x3fe1_e734_3236_574c, 0x3fe2_1c1c_1b03_94cf, 0x3fe2_50bb_9378_8bbb, 0x3fe2_8511_c917_a067,
    0x3fe2_b91d_ea88_421e, 0x3fe2_ecdf_279a_3082, 0x3fe3_2054_b148_bc4f, 0x3fe3_537d_b9be_0367,
    0x3fe3_8659_7456_282b, 0x3fe3_b8e7_15a2_840a, 0x3fe3_eb25_d36c_d53a, 0x3fe4_1d14_e4ba_6790,
    0x3fe4_4eb3_81cf_386b, 0x3fe4_8000_e431_159f, 0x3fe4_b0fc_46aa_b761, 0x3fe4_e1a4_e54e_d51b,
    0x3fe5_11f9_fd7b_351c, 0x3fe5_41fa_cddb_b724, 0x3fe5_71a6_966d_59b3, 0x3fe5_a0fc_9881_3a12,
    0x3fe5_cffc_16bf_8f0d, 0x3fe5_fea4_552a_9e57, 0x3fe6_2cf4_9921_ac79, 0x3fe6_5aec_2963_e755,
    0x3fe6_888a_4e13_4b2f, 0x3fe6_b5ce_50b7_821a, 0x3fe6_e2b7_7c40_bde1, 0x3fe7_0f45_1d0a_8c40,
    0x3fe7_3b76_80de_a578, 0x3fe7_674a_f6f7_b524, 0x3fe7_92c1_d004_1d52, 0x3fe7_bdda_5e28_b3c2,
    0x3fe7_e893_f503_7959, 0x3fe8_12ed_e9ae_4ba4,
];

/// What `SINE` lacks; some have been rounded otherwise where they were published.
#[rustfmt::skip]
const SINE_TAIL: [u64; 110] = [
    0x0000_0000_0000_0000, 0xbc1e_45e2_ec67_b77c, 0xbc02_ab63_9a9f_0777, 0x3bfe_fe2b_5152_7336,
    0xbc3c_d406_fb22_4ae2, 0x3c34_ec54_203d_1c11, 0xbc45_99bd_f46e_997a, 0x3c18_e4fd_03db_f236,
    0xbc42_d16d_3268_4b69, 0xbc5f_3d32_e6f3_be4f, 0xbc59_2191_5299_468c, 0xbc50_184f_02be_9102,
    0x3c3a_fc2d_1800_501a, 0x3c52_696d_7eac_1dc1, 0x3c5e_9184_1dea_4cc8, 0xbc45_0f8e_2fb7_1673,
    0xbc4a_fcb2_bcc6_f03b, 0x3c6d_8468_724f_0f9e, 0xbc66_ef95_0997_69a5, 0xbc6e_4d0f_05de_e058,
    0x3c64_7d66_6b66_cb91, 0x3c59_49db_2ac0_72fc, 0xbc66_f443_063f_89b6, 0xbbd3_2c5c_8b81_c940,
    0x3c45_ab50_e23c_97c3, 0xbc62_0fa2_62cb_b953, 0x3c59_c43d_80b1_137d, 0xbc59_883b_57d6_cdeb,
    0x3c69_c1a5_6a7b_0cab, 0xbc68_68d0_9bc8_7c6b, 0xbc63_2e20_d6cc_6fc2, 0xbc60_be06_af57_2ceb,
    0xbc61_5d88_508e_32b8, 0xbc79_b8c2_9dfd_8ec8, 0xbc79_fb0a_0c93_e2b5, 0xbc6b_e881_b5b6_15a4,
    0x3c74_6076_fe0d_cff5, 0xbc74_f080_334e_ff18, 0x3c61_5538_99f2_d807, 0x3c7e_0cb6_b40c_302c,
    0x3c00_3d55_0487_8398, 0xbc7f_09c7_5705_c59f, 0x3c78_23ba_6bb0_8ead, 0x3c7b_3571_55ee_f0f3,
    0x3c67_c74b_ac3f_e0cb, 0x3c5b_1fd8_0ba8_9133, 0xbc7d_8892_0244_4aad, 0x3c74_2bc1_4ee9_da0d,
    0xbc66_ead7_314b_b6ce, 0xbc7b_63bc_dabf_5af2, 0x3c78_a40e_9b5f_ace0, 0x3c74_4a02_ea76_6326,
    0xbc76_9ce1_3e68_3f58, 0x3c70_9e39_a320_b0a4, 0xbc5a_310e_3b50_cecd, 0xbc66_293e_b13c_0381,
    0xbc7a_e242_cb99_f519, 0xbc7e_38ad_2f6c_3ff1, 0x3c61_9fe6_757e_9fa7, 0xbc5e_b14d_1a3d_5826,
    0xbc62_fc8a_12da_e298, 0x3c72_8a44_a75f_c29c, 0x3c70_d4c6_e171_fd9a, 0xbc50_a482_1099_f88f,
    0xbc57_89b4_3c9b_027d, 0x3c71_7212_f8a7_525c, 0x3c59_d950_af2d_00a3, 0x3c6f_4a99_2e90_5b6a,
    0xbc82_d8cd_7839_7b01, 0x3c83_f5ae_4538_ff1b, 0xbc86_f643_a139_14f6, 0xbc8a_58de_f0be_e909,
    0x3c8d_9189_9880_9981, 0x3c7b_f953_5e27_39a8, 0x3c63_5e57_102e_2488, 0xbc5f_190c_70cb_b5ff,
    0x3c72_2a3f_a4f4_1d5a, 0x3c5e_5b32_4b23_aa31, 0x3c7e_a3d0_2457_bcce, 0xbc80_1df1_d9a1_6b70,
    0xbc8f_a371_db21_6ab0, 0x3c8d_3557_e0e7_e37e, 0x3c8f_6b42_095a_135b, 0x3c6b_327e_7af0_40f0,
    0xbc71_0fad_a93b_07a8, 0xbc79_7653_a7d2_f07b, 0xbc5b_e570_e157_0fc0, 0x3c84_608f_d287_ecf5,
    0xbc83_ed6c_1e6a_5505, 0xbc8b_194a_7463_ed10, 0x3c20_da05_738c_c59a, 0xbc8a_492f_89b7_c76a,
    0xbc85_c0e8_61c4_8831, 0x3c72_32c2_8520_d391, 0x3c5c_843b_4d0f_b198, 0xbc8d_82e2_b7d4_227b,
    0x3c89_6cb3_70eb_578a, 0x3c80_b6ce_f7ee_20b7, 0xbc8e_dd98_55b6_241a, 0x3c81_26f9_6b71_053c,
    0xbc86_b7d3_7644_d5e6, 0xbc65_d515_8f70_2e0f, 0xbc70_e729_857f_ad53, 0x3c69_7ede_3885_770d,
    0xbc72_2483_06dc_12a2, 0x3c7e_9d3f_94ac_84a8, 0xbc8a_bf05_eeb3_54eb, 0x3c4a_d119_7ccd_0393,
    0x3c80_eefb_aa65_0c4c, 0xbc87_830a_df40_2dda,
];

/// `cos(i/128)`.
#[rustfmt::skip]
const COSINE: [u64; 110] = [
    0x3ff0_0000_0000_0000, 0x3fef_ffc0_0015_5552, 0x3fef_ff00_0155_549f, 0x3fef_fdc0_06bf_f7e6,
    0x3fef_fc00_1555_27d3, 0x3fef_f9c0_3414_a7ba, 0x3fef_f700_6bfd_f99f, 0x3fef_f3c0_c810_3a31,
    0x3fef_f001_5549_f4d3, 0x3fef_ebc2_22a8_ef9f, 0x3fef_e703_4129_ef6f, 0x3fef_e1c4_c3c8_73eb,
    0x3fef_dc06_bf7e_6b9b, 0x3fef_d5c9_4b43_e000, 0x3fef_cf0c_800e_99b1, 0x3fef_c7d0_78d1_bc88,
    0x3fef_c015_527d_5bd3, 0x3fef_b7db_2bfe_0695, 0x3fef_af22_263c_4bd3, 0x3fef_a5ea_641c_36f2,
    0x3fef_9c34_0a7c_c428, 0x3fef_91ff_4037_4d01, 0x3fef_874c_2e1e_ecf6, 0x3fef_7c1a_feff_de24,
    0x3fef_706b_df9e_ce1c, 0x3fef_643e_feb8_2acd, 0x3fef_5794_8cff_6797, 0x3fef_4a6c_bd1e_3a79,
    0x3fef_3cc7_c3b3_d16e, 0x3fef_2ea5_d753_ffed, 0x3fef_2007_3086_649f, 0x3fef_10ec_09c5_873b,
    0x3fef_0154_9f7d_eea1, 0x3fee_f141_300d_2f26, 0x3fee_e0b1_fbc0_f11c, 0x3fee_cfa7_44d5_efa1,
    0x3fee_be21_4f76_efa8, 0x3fee_ac20_61bb_af4f, 0x3fee_99a4_c3a7_cd83, 0x3fee_86ae_bf29_a9ed,
    0x3fee_733e_a019_3d40, 0x3fee_5f54_b436_e9d0, 0x3fee_4af1_4b2a_449c, 0x3fee_3614_b680_d6a5,
    0x3fee_20bf_49ac_d6c1, 0x3fee_0af1_5a03_dbce, 0x3fed_f4ab_3ebd_875e, 0x3fed_dded_50f2_28d6,
    0x3fed_c6b7_eb99_5912, 0x3fed_af0b_6b88_8e83, 0x3fed_96e8_2f71_a9dc, 0x3fed_7e4e_97e1_7b4a,
    0x3fed_653f_073e_4040, 0x3fed_4bb9_e1c6_19e0, 0x3fed_31bf_8d8d_7c06, 0x3fed_1750_727d_94f0,
    0x3fec_fc6c_fa52_ad9f, 0x3fec_e115_909a_82e5, 0x3fec_c54a_a2b2_972e, 0x3fec_a90c_9fc6_7d0b,
    0x3fec_8c5b_f8ce_1a84, 0x3fec_6f39_208b_e53b, 0x3fec_51a4_8b8b_175e, 0x3fec_339e_b01d_dd81,
    0x3fec_1528_065b_7d50, 0x3feb_f641_081e_7536, 0x3feb_d6ea_3102_94f5, 0x3feb_b723_fe63_0f32,
    0x3feb_96ee_ef58_840e, 0x3feb_764b_84b7_04c2, 0x3feb_553a_410c_104e, 0x3feb_33bb_a89c_8948,
    0x3feb_11d0_4162_a4c6, 0x3fea_ef78_930b_d275, 0x3fea_ccb5_26f6_9de5, 0x3fea_a986_8830_8913,
    0x3fea_85ed_4373_e02d, 0x3fea_61e9_e725_86af, 0x3fea_3d7d_0352_bdcf, 0x3fea_18a7_29ae_e445,
    0x3fe9_f368_ed91_2f85, 0x3fe9_cdc2_e3f2_5e5c, 0x3fe9_a7b5_a36a_6514, 0x3fe9_8141_c42e_1310,
    0x3fe9_5a67_e00c_b1fd, 0x3fe9_3328_926d_9e92, 0x3fe9_0b84_784d_daf7, 0x3fe8_e37c_303d_9ad1,
    0x3fe8_bb10_5a5d_c900, 0x3fe8_9241_985d_871f, 0x3fe8_6910_8d77_a6c6, 0x3fe8_3f7d_de70_1ca0,
    0x3fe8_158a_3191_6d5d, 0x3fe7_eb36_2eaa_1488, 0x3fe7_c082_7f09_e54f, 0x3fe7_956f_cd7f_6543,
    0x3fe7_69fe_c655_211f, 0x3fe7_3e30_174e_fba1, 0x3fe7_1204_6fa7_7678, 0x3fe6_e57c_800c_f55e,
    0x3fe6_b898_fa9e_fb5d, 0x3fe6_8b5a_92eb_6253, 0x3fe6_5dc1_fdeb_8cba, 0x3fe6_2fcf_f201_91c7,
    0x3fe6_0185_26f5_63df, 0x3fe5_d2e2_55f1_f17a, 0x3fe5_a3e8_3982_4077, 0x3fe5_7497_8d8e_83f2,
    0x3fe5_44f1_0f59_2ca5, 0x3fe5_14f5_7d7b_f3da,
];

/// What `COSINE` lacks, likewise.
#[rustfmt::skip]
const COSINE_TAIL: [u64; 110] = [
    0x0000_0000_0000_0000, 0x3c8f_4a01_a019_6dae, 0x3c82_8a28_a03a_5ef3, 0x3c8a_e6da_e869_77bd,
    0xbc83_b544_92d8_9b5b, 0x3c69_91f4_be6c_59bf, 0xbc78_b3b5_6064_8d5f, 0x3c74_856d_bddc_0e66,
    0x3c83_2838_7b99_426f, 0x3c57_9349_34f5_4c77, 0xbc6c_bf43_37c9_6f97, 0xbc35_a9c9_057c_4a02,
    0x3c83_1902_b535_f8db, 0xbc62_e768_cb4f_92f9, 0x3c6e_a3d7_86d1_86ac, 0x3c80_75d2_447d_b685,
    0x3c8b_68f3_5094_efb8, 0x3c82_1dad_f4f6_5ab1, 0xbc55_2ace_133a_2769, 0x3c40_4da6_ed17_cc7c,
    0x3c8c_5b6b_063b_7462, 0xbc67_d03f_4d3a_9e4c, 0xbc8c_6514_e133_2b16, 0xbc78_f55b_c475_40b1,
    0xbc86_98c8_0c36_dcb4, 0x3c76_b00a_c1fe_28ac, 0x3c6e_3a0d_3e03_b1d5, 0x3c81_3df0_edae_bb57,
    0xbc62_1a3a_d28a_3494, 0x3c8c_c421_5f56_d583, 0x3c7b_9404_16c1_984b, 0x3c8d_9072_762c_1283,
    0x3c8d_3c1e_99e5_cafd, 0xbc82_aa1b_08de_d372, 0xbc4b_fd23_80bb_c3b1, 0xbc55_6d0a_4af5_41d0,
    0xbc80_2f9f_12ba_543e, 0x3c62_c1d5_3e94_658d, 0xbc82_264b_1bc5_3ce8, 0x3c89_397a_fdbb_58a7,
    0xbc86_428b_3546_ce13, 0x3c87_eb0f_d02f_c8bc, 0xbc86_8ca0_2e8a_6833, 0xbc72_7793_aa01_5237,
    0xbc56_60ae_c7ef_636c, 0x3c5f_e8e7_0277_1ae6, 0xbc8e_2d8a_7e67_36c4, 0xbc6e_80c8_d42b_a2bf,
    0x3c54_b364_776d_cd35, 0x3c8a_249e_2b5e_5cea, 0x3c8f_f61b_d5d2_039d, 0xbc63_b770_352b_ed94,
    0xbc87_6236_434b_ec37, 0x3c8f_34bb_7785_8f61, 0x3c7e_60dd_3089_cbdd, 0x3c80_d52b_1ec1_a48e,
    0x3c88_b5b5_508f_2a0d, 0x3c81_f139_bb31_109a, 0x3c64_ee16_2ba8_3a98, 0xbc64_6a81_485e_3462,
    0x3c7a_b3d1_a159_0123, 0xbc87_41db_fbaa_db42, 0xbc61_bbb4_3b9a_a880, 0xbc8c_aaf5_ee82_c5c0,
    0xbc88_9211_1312_e828, 0x3c8b_7bd7_1628_a9a1, 0x3c73_1bbc_c88c_109d, 0x3c77_2bd2_452d_0a39,
    0x3c54_5a3c_c78f_ade0, 0xbc8f_5848_c21b_389b, 0x3c58_ff79_4702_7a16, 0x3c8e_a6a5_1d1f_6ca9,
    0x3c71_dd56_1efb_c0c2, 0xbc7f_8362_7974_6f94, 0x3c88_fb6a_8dd6_b6cc, 0xbc0b_83d6_07cd_5070,
    0x3c69_be06_385e_c792, 0x3c85_8330_e2fd_453f, 0xbc86_8dba_eca1_9669, 0x3c39_5e25_736c_0358,
    0xbc81_d200_c579_1606, 0x3c83_f991_1299_3f62, 0x3c87_22cf_cc9f_a7a9, 0x3c8d_1ff8_0488_f08d,
    0xbc80_befd_a21f_862d, 0xbc8b_b770_0360_0cda, 0xbc70_feb1_0ab9_3b87, 0xbc64_63a4_b53d_4bf8,
    0x3c88_63e0_3e94_74c1, 0x3c8c_48d9_c413_ed84, 0x3c73_38ff_e2bf_e9dd, 0xbc41_52cf_609b_c6e8,
    0xbc6d_e8b9_0b82_28de, 0x3c5a_1d65_a4a5_959f, 0xbc6c_73d6_d72a_ee68, 0xbc8a_b276_e9d4_5ae4,
    0xbc68_27d5_cf8c_68c5, 0xbc65_d3ae_3d94_ad5f, 0x3c84_25b0_a502_9c81, 0x3c86_0286_dedb_d0a6,
    0x3c71_5ac7_86cc_f4b2, 0xbc89_a91a_d985_f89c, 0xbc59_7c1b_4733_7c77, 0x3c6d_9143_8957_56ef,
    0x3c84_6ca5_e0e4_32d0, 0x3c80_3141_04c8_892b, 0x3c84_28aa_2759_be62, 0x3c8f_4714_af28_2d23,
    0xbc8e_7ae8_e6c7_a62f, 0x3c74_7a10_8073_c259,
];

/// `1/c` of few bits, where `c` is near the centre of the i-th of 128 intervals.
#[rustfmt::skip]
static SHORT_INVERSE: [u64; 128] = [
    0x3ff6_a000_0000_0000, 0x3ff6_8000_0000_0000, 0x3ff6_6000_0000_0000, 0x3ff6_4000_0000_0000,
    0x3ff6_2000_0000_0000, 0x3ff6_0000_0000_0000, 0x3ff5_e000_0000_0000, 0x3ff5_c000_0000_0000,
    0x3ff5_a000_0000_0000, 0x3ff5_8000_0000_0000, 0x3ff5_6000_0000_0000, 0x3ff5_6000_0000_0000,
    0x3ff5_4000_0000_0000, 0x3ff5_2000_0000_0000, 0x3ff5_0000_0000_0000, 0x3ff4_e000_0000_0000,
    0x3ff4_c000_0000_0000, 0x3ff4_a000_0000_0000, 0x3ff4_a000_0000_0000, 0x3ff4_8000_0000_0000,
    0x3ff4_6000_0000_0000, 0x3ff4_4000_0000_0000, 0x3ff4_2000_0000_0000, 0x3ff4_0000_0000_0000,
    0x3ff4_0000_0000_0000, 0x3ff3_e000_0000_0000, 0x3ff3_c000_0000_0000, 0x3ff3_a000_0000_0000,
    0x3ff3_a000_0000_0000, 0x3ff3_8000_0000_0000, 0x3ff3_6000_0000_0000, 0x3ff3_4000_0000_0000,
    0x3ff3_4000_0000_0000, 0x3ff3_2000_0000_0000, 0x3ff3_0000_0000_0000, 0x3ff3_0000_0000_0000,
    0x3ff2_e000_0000_0000, 0x3ff2_c000_0000_0000, 0x3ff2_c000_0000_0000, 0x3ff2_a000_0000_0000,
    0x3ff2_8000_0000_0000, 0x3ff2_6000_0000_0000, 0x3ff2_6000_0000_0000, 0x3ff2_4000_0000_0000,
    0x3ff2_4000_0000_0000, 0x3ff2_2000_0000_0000, 0x3ff2_0000_0000_0000, 0x3ff2_0000_0000_0000,
    0x3ff1_e000_0000_0000, 0x3ff1_c000_0000_0000, 0x3ff1_c000_0000_0000, 0x3ff1_a000_0000_0000,
    0x3ff1_a000_0000_0000, 0x3ff1_8000_0000_0000, 0x3ff1_6000_0000_0000, 0x3ff1_6000_0000_0000,
    0x3ff1_4000_0000_0000, 0x3ff1_4000_0000_0000, 0x3ff1_2000_0000_0000, 0x3ff1_0000_0000_0000,
    0x3ff1_0000_0000_0000, 0x3ff0_e000_0000_0000, 0x3ff0_e000_0000_0000, 0x3ff0_c000_0000_0000,
    0x3ff0_c000_0000_0000, 0x3ff0_a000_0000_0000, 0x3ff0_a000_0000_0000, 0x3ff0_8000_0000_0000,
    0x3ff0_8000_0000_0000, 0x3ff0_6000_0000_0000, 0x3ff0_4000_0000_0000, 0x3ff0_4000_0000_0000,
    0x3ff0_2000_0000_0000, 0x3ff0_2000_0000_0000, 0x3ff0_0000_0000_0000, 0x3ff0_0000_0000_0000,
    0x3fef_c000_0000_0000, 0x3fef_8000_0000_0000, 0x3fef_4000_0000_0000, 0x3fef_0000_0000_0000,
    0x3fee_c000_0000_0000, 0x3fee_8000_0000_0000, 0x3fee_4000_0000_0000, 0x3fee_2000_0000_0000,
    0x3fed_e000_0000_0000, 0x3fed_a000_0000_0000, 0x3fed_6000_0000_0000, 0x3fed_4000_0000_0000,
    0x3fed_0000_0000_0000, 0x3fec_c000_0000_0000, 0x3fec_a000_0000_0000, 0x3fec_6000_0000_0000,
    0x3fec_4000_0000_0000, 0x3fec_0000_0000_0000, 0x3feb_e000_0000_0000, 0x3feb_a000_0000_0000,
    0x3feb_8000_0000_0000, 0x3feb_4000_0000_0000, 0x3feb_2000_0000_0000, 0x3fea_e000_0000_0000,
    0x3fea_c000_0000_0000, 0x3fea_a000_0000_0000, 0x3fea_6000_0000_0000, 0x3fea_4000_0000_0000,
    0x3fea_0000_0000_0000, 0x3fe9_e000_0000_0000, 0x3fe9_c000_0000_0000, 0x3fe9_a000_0000_0000,
    0x3fe9_6000_0000_0000, 0x3fe9_4000_0000_0000, 0x3fe9_2000_0000_0000, 0x3fe9_0000_0000_0000,
    0x3fe8_c000_0000_0000, 0x3fe8_a000_0000_0000, 0x3fe8_8000_0000_0000, 0x3fe8_6000_0000_0000,
    0x3fe8_4000_0000_0000, 0x3fe8_2000_0000_0000, 0x3fe7_e000_0000_0000, 0x3fe7_c000_0000_0000,
    0x3fe7_a000_0000_0000, 0x3fe7_8000_0000_0000, 0x3fe7_6000_0000_0000, 0x3fe7_4000_0000_0000,
    0x3fe7_2000_0000_0000, 0x3fe7_0000_0000_0000, 0x3fe6_e000_0000_0000, 0x3fe6_c000_0000_0000,
];

/// `log c` of these, as a multiple of 2⁻⁴³.
#[rustfmt::skip]
static LONG_LOGARITHM: [u64; 128] = [
    0xbfd6_2c82_f2b9_c800, 0xbfd5_d1bd_bf58_0800, 0xbfd5_7677_1745_5800, 0xbfd5_1aad_872d_f800,
    0xbfd4_be5f_9577_7800, 0xbfd4_618b_c21c_6000, 0xbfd4_0430_8686_a800, 0xbfd3_a64c_5569_4800,
    0xbfd3_47dd_9a98_8000, 0xbfd2_e8e2_bae1_2000, 0xbfd2_895a_13de_8800, 0xbfd2_895a_13de_8800,
    0xbfd2_2941_fbcf_7800, 0xbfd1_c898_c169_9800, 0xbfd1_675c_abab_a800, 0xbfd1_058b_f9ae_4800,
    0xbfd0_a324_e273_9000, 0xbfd0_4025_94b4_d000, 0xbfd0_4025_94b4_d000, 0xbfcf_b918_6d5e_4000,
    0xbfce_f0ad_cbdc_6000, 0xbfce_2707_6e2a_f000, 0xbfcd_5c21_6b4f_c000, 0xbfcc_8ff7_c79a_a000,
    0xbfcc_8ff7_c79a_a000, 0xbfcb_c286_742d_9000, 0xbfca_f3c9_4e80_c000, 0xbfca_23bc_1fe2_b000,
    0xbfca_23bc_1fe2_b000, 0xbfc9_525a_9cf4_5000, 0xbfc8_7fa0_6520_d000, 0xbfc7_ab89_0210_e000,
    0xbfc7_ab89_0210_e000, 0xbfc6_d60f_e719_d000, 0xbfc5_ff30_70a7_9000, 0xbfc5_ff30_70a7_9000,
    0xbfc5_26e5_e3a1_b000, 0xbfc4_4d2b_6ccb_8000, 0xbfc4_4d2b_6ccb_8000, 0xbfc3_71fc_201e_9000,
    0xbfc2_9552_f81f_f000, 0xbfc1_b72a_d52f_6000, 0xbfc1_b72a_d52f_6000, 0xbfc0_d77e_7cd0_9000,
    0xbfc0_d77e_7cd0_9000, 0xbfbf_ec91_31db_e000, 0xbfbe_2707_6e2b_0000, 0xbfbe_2707_6e2b_0000,
    0xbfbc_5e54_8f5b_c000, 0xbfba_926d_3a4a_e000, 0xbfba_926d_3a4a_e000, 0xbfb8_c345_d631_a000,
    0xbfb8_c345_d631_a000, 0xbfb6_f0d2_8ae5_6000, 0xbfb5_1b07_3f06_2000, 0xbfb5_1b07_3f06_2000,
    0xbfb3_41d7_961b_e000, 0xbfb3_41d7_961b_e000, 0xbfb1_6536_eea3_8000, 0xbfaf_0a30_c011_8000,
    0xbfaf_0a30_c011_8000, 0xbfab_42dd_7119_8000, 0xbfab_42dd_7119_8000, 0xbfa7_7458_f632_c000,
    0xbfa7_7458_f632_c000, 0xbfa3_9e87_b9fe_c000, 0xbfa3_9e87_b9fe_c000, 0xbf9f_829b_0e78_0000,
    0xbf9f_829b_0e78_0000, 0xbf97_b91b_07d5_8000, 0xbf8f_c0a8_b0fc_0000, 0xbf8f_c0a8_b0fc_0000,
    0xbf7f_e02a_6b10_0000, 0xbf7f_e02a_6b10_0000, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000,
    0x3f80_1015_7589_0000, 0x3f90_2056_5893_8000, 0x3f98_4925_28c9_0000, 0x3fa0_415d_89e7_4000,
    0x3fa4_66ae_d42e_0000, 0x3fa8_94aa_149f_c000, 0x3fac_cb73_cddd_c000, 0x3fae_ea31_c006_c000,
    0x3fb1_973b_d146_6000, 0x3fb3_bdf5_a7d1_e000, 0x3fb5_e95a_4d97_a000, 0x3fb7_00d3_0aea_c000,
    0x3fb9_335e_5d59_4000, 0x3fbb_6ac8_8dad_6000, 0x3fbc_8858_01bc_4000, 0x3fbe_c739_830a_2000,
    0x3fbf_e891_39db_e000, 0x3fc1_178e_8227_e000, 0x3fc1_aa2b_7e23_f000, 0x3fc2_d161_0c86_8000,
    0x3fc3_65fc_b015_9000, 0x3fc4_913d_8333_b000, 0x3fc5_27e5_e4a1_b000, 0x3fc6_574e_be8c_1000,
    0x3fc6_f012_8b75_7000, 0x3fc7_898d_8544_5000, 0x3fc8_beaf_eb39_0000, 0x3fc9_5a5a_dcf7_0000,
    0x3fca_93ed_3c8a_e000, 0x3fcb_31d8_575b_d000, 0x3fcb_d087_383b_e000, 0x3fcc_6ffb_c6f0_1000,
    0x3fcd_b13d_b0d4_9000, 0x3fce_530e_ffe7_1000, 0x3fce_f5ad_e4dd_0000, 0x3fcf_991c_6cb3_b000,
    0x3fd0_7138_604d_5800, 0x3fd0_c42d_6761_6000, 0x3fd1_178e_8227_e800, 0x3fd1_6b5c_cbac_f800,
    0x3fd1_bf99_635a_6800, 0x3fd2_1445_6d0e_b800, 0x3fd2_bef0_7cdc_9000, 0x3fd3_14f1_e1d3_6000,
    0x3fd3_6b67_76be_1000, 0x3fd3_c252_7733_3000, 0x3fd4_19b4_23d5_e800, 0x3fd4_718d_c271_c800,
    0x3fd4_c9e0_9e17_3000, 0x3fd5_22ae_0738_a000, 0x3fd5_7bf7_53c8_d000, 0x3fd5_d5bd_df59_6000,
];

/// What `LONG_LOGARITHM` lacks.
#[rustfmt::skip]
static LONG_LOGARITHM_TAIL: [u64; 128] = [
    0x3cfa_b424_2837_5680, 0xbd1c_a508_d8e0_f720, 0xbd23_62a4_d5b6_506d, 0xbce6_84e4_9eb0_67d5,
    0xbd04_1b69_9329_3ee0, 0x3d13_d82f_484c_84cc, 0x3cdc_42f3_ed82_0b3a, 0x3d20_b1c6_8651_9460,
    0x3d25_594d_d4c5_8092, 0x3d26_7b1e_99b7_2bd8, 0x3d15_ca14_b6cf_b03f, 0x3d15_ca14_b6cf_b03f,
    0xbd16_5a24_2853_da76, 0xbd1f_afbc_68e7_5404, 0x3d1f_1fc6_3382_a8f0, 0xbd26_a8c4_fd05_5a66,
    0xbd0c_6bee_7ef4_030e, 0xbcf0_36b8_9ef4_2d7f, 0xbcf0_36b8_9ef4_2d7f, 0x3d0d_572a_ab99_3c87,
    0x3d2b_26b7_9c86_af24, 0xbd17_2f4f_543f_ff10, 0x3d21_ba91_bbca_681b, 0x3d27_794f_689f_8434,
    0x3d27_794f_689f_8434, 0x3d19_4eb0_318b_b78f, 0x3cba_4e63_3fcd_9066, 0xbd25_8c64_dc46_c1ea,
    0xbd25_8c64_dc46_c1ea, 0xbd2a_d1d9_04c1_d4e3, 0x3d2b_bdbf_7fdb_fa09, 0x3d2b_db90_7253_4a58,
    0x3d2b_db90_7253_4a58, 0xbd10_e46a_a3b2_e266, 0xbd1e_9e43_9f10_5039, 0xbd1e_9e43_9f10_5039,
    0xbd20_de8b_9007_5b8f, 0x3d17_0cc1_6135_783c, 0x3d17_0cc1_6135_783c, 0x3cf1_7886_4d27_543a,
    0xbd24_8d30_1771_c408, 0xbd2e_80a4_1811_a396, 0xbd2e_80a4_1811_a396, 0x3d0a_6996_88e8_5bf4,
    0x3d0a_6996_88e8_5bf4, 0xbd25_7554_5ca3_33f2, 0x3d2a_342c_2af0_003c, 0x3d2a_342c_2af0_003c,
    0xbd1d_0c57_585f_be06, 0x3d25_3935_e85b_aac8, 0x3d25_3935_e85b_aac8, 0x3d13_7c29_4d2f_5668,
    0x3d13_7c29_4d2f_5668, 0xbd26_9737_c933_73da, 0x3d1f_025b_61c6_5e57, 0x3d1f_025b_61c6_5e57,
    0x3d2c_5eda_ccf9_13df, 0x3d2c_5eda_ccf9_13df, 0x3d14_7c5e_768f_a309, 0x3d2d_599e_8336_8e91,
    0x3d2d_599e_8336_8e91, 0x3d1c_827a_e5d6_704c, 0x3d1c_827a_e5d6_704c, 0xbd2c_fc46_34f2_a1ee,
    0xbd2c_fc46_34f2_a1ee, 0x3cf5_02b7_f526_feaa, 0x3cf5_02b7_f526_feaa, 0xbd29_8026_7c7e_09e4,
    0xbd29_8026_7c7e_09e4, 0xbd28_8d54_93fa_a639, 0xbcdf_1e7c_f6d3_a69c, 0xbcdf_1e7c_f6d3_a69c,
    0xbd19_e23f_0dda_40e4, 0xbd19_e23f_0dda_40e4, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000,
    0xbd10_c76b_999d_2be8, 0xbd23_dc5b_06e2_f7d2, 0xbd2a_a0ba_325a_0c34, 0x3d01_11c0_5cf1_d753,
    0xbd2c_1673_75bd_fd28, 0xbd19_7995_d05a_267d, 0xbd1a_68f2_47d8_2807, 0xbd0e_113e_4fc9_3b7b,
    0xbd25_325d_560d_9e9b, 0x3d2c_c85e_a5db_4ed7, 0xbd2c_6906_3c5d_1d1e, 0x3cec_1e8d_a99d_ed32,
    0x3d23_115c_3abd_47da, 0xbd13_9080_2bf7_68e5, 0x3d26_46d1_c65a_acd3, 0xbd2d_c068_afe6_45e0,
    0xbd25_34d6_4fa1_0afd, 0x3d21_ef78_ce2d_07f2, 0x3d2c_a78e_4438_9934, 0x3d03_9d6c_cb81_b4a1,
    0x3cc6_2fa8_234b_7289, 0x3d25_8379_54fd_b678, 0x3d26_33e8_e569_7dc7, 0x3d19_cf8b_2c3c_2e78,
    0xbd25_118d_e59c_21e1, 0xbd1c_6610_7091_4305, 0xbd07_3d54_aae9_2cd1, 0x3d07_f228_58a0_ff6f,
    0xbd28_7243_5056_2169, 0xbd0c_358d_4eac_e1aa, 0xbd2d_4bc4_5954_12b6, 0xbcf1_ec72_c596_2bd2,
    0xbd2a_ff2a_f715_b035, 0x3cc2_1227_6041_f430, 0xbcca_2115_65bb_8e11, 0x3d1b_cbec_ca0c_df30,
    0x3cf8_9cdb_16ed_4e91, 0x3d27_188b_163c_eae9, 0xbd2c_210e_63a5_f01c, 0x3d2b_9acd_f7a5_1681,
    0x3d2c_a6ed_5147_bdb7, 0x3d0a_87de_ba46_baea, 0x3d2a_9cfa_4a50_04f4, 0xbd28_e27a_d321_3cb8,
    0x3d11_6ecd_b0f1_77c8, 0x3d18_3b54_b606_bd5c, 0x3d08_e436_ec90_e09d, 0xbd2f_27ce_0967_d675,
    0xbd2e_2089_1b0a_d8a4, 0x3d2e_be70_8164_c759, 0x3d1f_aded_ee5d_40ef, 0xbd0a_0b2a_08a4_65dc,
];
